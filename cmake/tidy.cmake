# The target `tidy` runs clang-tidy over the tests, and so over the headers. It takes minutes, so nothing
# runs it by itself; use it with a preset of Clang's, whose precompiled headers it can read.

find_program(JOINERY_CLANG_TIDY clang-tidy-19)
if(JOINERY_CLANG_TIDY)
    file(GLOB joinery_tidy_sources CONFIGURE_DEPENDS
        ${PROJECT_SOURCE_DIR}/test/unit/*.cpp
        ${PROJECT_SOURCE_DIR}/test/threads/*.cpp)
    add_custom_target(tidy
        COMMAND ${JOINERY_CLANG_TIDY} --quiet -p ${PROJECT_BINARY_DIR} ${joinery_tidy_sources}
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    foreach(target IN ITEMS joinery_unit_tests joinery_thread_tests)
        if(TARGET ${target})
            add_dependencies(tidy ${target})
        endif()
    endforeach()
endif()
