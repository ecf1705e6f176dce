# cmake -D compiler=… -D flags=… -D source=… -D kind=misuse|control -P check.cmake
cmake_minimum_required(VERSION 3.25)

separate_arguments(flags UNIX_COMMAND "${flags}")
if(kind STREQUAL "control")
    list(APPEND flags -DJOINERY_COMPILE_FAIL_CONTROL)
endif()

execute_process(
    COMMAND ${compiler} ${flags} ${source}
    RESULT_VARIABLE status
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)

if(kind STREQUAL "control")
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "Does not compile without the misuse:\n${output}")
    endif()
    return()
endif()

file(READ "${source}" text)
set(patterns 0)
while(text MATCHES "^// expect: ([^\n]+)\n(.*)$")
    set(pattern "${CMAKE_MATCH_1}")
    set(text "${CMAKE_MATCH_2}")
    math(EXPR patterns "${patterns} + 1")
    if(NOT output MATCHES "${pattern}")
        message(SEND_ERROR "The compiler says nothing like: ${pattern}")
        set(failed TRUE)
    endif()
endwhile()

if(patterns EQUAL 0)
    message(FATAL_ERROR "${source} does not begin with a line \"// expect: …\"")
elseif(status EQUAL 0)
    message(FATAL_ERROR "${source} compiles, but must not")
elseif(failed)
    message(FATAL_ERROR "The compiler says:\n${output}")
endif()
