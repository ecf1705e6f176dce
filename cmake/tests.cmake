# joinery_add_test_program(<target> LABEL <label> SOURCES <file>... [LIBRARIES <target>...])
#
# One GoogleTest executable; ctest runs each of its tests in a process of its own.

set(JOINERY_TEST_TIMEOUT 120 CACHE STRING "Seconds after which a test counts as hanging")
option(JOINERY_PRECOMPILE_TESTS "Precompile the standard, GoogleTest and Asio headers of the tests" ON)

find_package(GTest REQUIRED)
include(GoogleTest)

# What the library and several of its tests include of others. None of the library's own headers: each change of one
# would compile every test anew, and no test could show that a header lacks an include.
set(joinery_precompiled_test_headers
    <gtest/gtest.h>
    <boost/asio/any_io_executor.hpp>
    <boost/asio/as_tuple.hpp>
    <boost/asio/associator.hpp>
    <boost/asio/awaitable.hpp>
    <boost/asio/bind_allocator.hpp>
    <boost/asio/bind_cancellation_slot.hpp>
    <boost/asio/bind_executor.hpp>
    <boost/asio/cancellation_signal.hpp>
    <boost/asio/co_spawn.hpp>
    <boost/asio/deferred.hpp>
    <boost/asio/executor_work_guard.hpp>
    <boost/asio/io_context.hpp>
    <boost/asio/post.hpp>
    <boost/asio/prefer.hpp>
    <boost/asio/query.hpp>
    <boost/asio/redirect_error.hpp>
    <boost/asio/require.hpp>
    <boost/asio/steady_timer.hpp>
    <boost/asio/strand.hpp>
    <boost/asio/system_executor.hpp>
    <boost/asio/this_coro.hpp>
    <boost/asio/thread_pool.hpp>
    <boost/asio/use_awaitable.hpp>
    <boost/asio/use_future.hpp>
    <boost/intrusive/list.hpp>
    <boost/system/result.hpp>
    <boost/unordered/hash_traits.hpp>
    <algorithm>
    <array>
    <atomic>
    <chrono>
    <condition_variable>
    <functional>
    <future>
    <latch>
    <map>
    <memory>
    <mutex>
    <optional>
    <random>
    <set>
    <stop_token>
    <string>
    <thread>
    <tuple>
    <unordered_map>
    <variant>
    <vector>)

# What all test programs share, compiled once: the precompiled headers, and the functions of Asio, which are otherwise
# inline and so compiled with each source file. The examples and the documentation keep to the headers, as users do.
add_library(joinery_test_support STATIC ${PROJECT_SOURCE_DIR}/test/support/asio.cpp)
target_compile_definitions(joinery_test_support PUBLIC BOOST_ASIO_SEPARATE_COMPILATION)
target_include_directories(joinery_test_support PUBLIC ${PROJECT_SOURCE_DIR}/test/support)
target_link_libraries(joinery_test_support PUBLIC joinery::joinery GTest::gtest_main)
if(JOINERY_PRECOMPILE_TESTS)
    target_precompile_headers(joinery_test_support PRIVATE ${joinery_precompiled_test_headers})
endif()

function(joinery_add_test_program target)
    cmake_parse_arguments(PARSE_ARGV 1 argument "" "LABEL" "SOURCES;LIBRARIES")
    if(NOT argument_SOURCES)
        message(STATUS "${target}: no source files yet")
        return()
    endif()

    add_executable(${target} ${argument_SOURCES})
    target_link_libraries(${target} PRIVATE joinery_test_support ${argument_LIBRARIES})
    if(JOINERY_PRECOMPILE_TESTS)
        target_precompile_headers(${target} REUSE_FROM joinery_test_support)
    endif()

    # PRE_TEST: found when ctest starts, with its environment, and not as a step of the build.
    gtest_discover_tests(${target}
        DISCOVERY_MODE PRE_TEST
        DISCOVERY_TIMEOUT 60
        PROPERTIES LABELS ${argument_LABEL} TIMEOUT ${JOINERY_TEST_TIMEOUT})
endfunction()
