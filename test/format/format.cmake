# cmake -D program=… -D action=<arguments> -P format.cmake, in the root of the project
cmake_minimum_required(VERSION 3.25)

set(sources)
foreach(directory IN ITEMS include test example bench)
    file(GLOB_RECURSE found ${directory}/*.hpp ${directory}/*.cpp)
    list(APPEND sources ${found})
endforeach()
list(FILTER sources EXCLUDE REGEX "/test/layers/broken/")
if(NOT sources)
    return()
endif()

execute_process(COMMAND ${program} ${action} ${sources} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "Not formatted: run `cmake --build --preset gcc-release --target format`")
endif()
