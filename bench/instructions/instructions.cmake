# The gate that a noisy machine cannot fool: instructions for each task, against recorded figures.
#
# `instructions.against_the_recorded_ones` is the test; the target `record_instructions` writes the figures anew.

find_program(JOINERY_VALGRIND valgrind)
find_path(JOINERY_VALGRIND_HEADERS valgrind/callgrind.h)
if(NOT JOINERY_VALGRIND OR NOT JOINERY_VALGRIND_HEADERS)
    message(STATUS "No valgrind: instructions are not counted")
    return()
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    return() # the figures are those of a release build
endif()

set(count_instructions ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/instructions/check.py
    --programs $<TARGET_FILE_DIR:bench_joinery_task>
    --output ${CMAKE_CURRENT_BINARY_DIR}/instructions
    --built-with "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, Boost ${Boost_VERSION_STRING}"
    --record-with "cmake --build ${PROJECT_BINARY_DIR} --target record_instructions")

add_custom_target(record_instructions COMMAND ${count_instructions} --record VERBATIM)
add_dependencies(record_instructions bench_joinery_task bench_joinery_awaitable)

if(JOINERY_BUILD_TESTS)
    add_test(NAME instructions.against_the_recorded_ones COMMAND ${count_instructions})
    set_tests_properties(instructions.against_the_recorded_ones PROPERTIES
        LABELS "bench;slow" TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()
