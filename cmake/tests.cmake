# joinery_add_test_program(<target> LABEL <label> SOURCES <file>... [LIBRARIES <target>...])
#
# One GoogleTest executable; ctest runs each of its tests in a process of its own.

set(JOINERY_TEST_TIMEOUT 120 CACHE STRING "Seconds after which a test counts as hanging")
option(JOINERY_PRECOMPILE_TESTS "Precompile the standard, GoogleTest and Asio headers of the tests" ON)

find_package(GTest REQUIRED)
include(GoogleTest)

# Without this every test program would parse Asio and GoogleTest once for each of its source files.
set(joinery_precompiled_test_headers
    <gtest/gtest.h>
    <boost/asio/any_io_executor.hpp>
    <boost/asio/awaitable.hpp>
    <boost/asio/bind_cancellation_slot.hpp>
    <boost/asio/co_spawn.hpp>
    <boost/asio/deferred.hpp>
    <boost/asio/io_context.hpp>
    <boost/asio/steady_timer.hpp>
    <boost/asio/strand.hpp>
    <boost/asio/thread_pool.hpp>
    <boost/asio/use_awaitable.hpp>
    <boost/asio/use_future.hpp>
    <atomic>
    <functional>
    <memory>
    <optional>
    <string>
    <thread>
    <unordered_map>
    <vector>)

function(joinery_add_test_program target)
    cmake_parse_arguments(PARSE_ARGV 1 argument "" "LABEL" "SOURCES;LIBRARIES")
    if(NOT argument_SOURCES)
        message(STATUS "${target}: no source files yet")
        return()
    endif()

    add_executable(${target} ${argument_SOURCES})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/test/support)
    target_link_libraries(${target} PRIVATE
        joinery::joinery GTest::gtest_main ${argument_LIBRARIES})
    if(JOINERY_PRECOMPILE_TESTS)
        target_precompile_headers(${target} PRIVATE ${joinery_precompiled_test_headers})
    endif()

    # PRE_TEST: found when ctest starts, with its environment, and not as a step of the build.
    gtest_discover_tests(${target}
        DISCOVERY_MODE PRE_TEST
        DISCOVERY_TIMEOUT 60
        PROPERTIES LABELS ${argument_LABEL} TIMEOUT ${JOINERY_TEST_TIMEOUT})
endfunction()
