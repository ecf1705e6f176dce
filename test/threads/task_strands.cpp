// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

// Small, because ThreadSanitizer runs them too.
constexpr int tasks_in_order = 40;
constexpr int functions_for_each = 60;

template<class Crowd>
class SerialOrder : public ::testing::Test {
protected:
    watchdog no_hang_;
    asio::thread_pool elsewhere_{2};
    Crowd crowd_;
};

using concurrent_crowds = ::testing::Types<pool_crowd, context_crowd>;
TYPED_TEST_SUITE(SerialOrder, concurrent_crowds);

/// Posts and dispatches functions to an executor from a pool, each of which counts, without a lock.
void count_from(asio::thread_pool& pool, const asio::any_io_executor& home, int& count, std::atomic<int>& counted)
{
    for (int i = 0; i != functions_for_each; ++i) {
        asio::post(pool, [&, home, i] {
            auto add = [&] {
                ++count;
                ++counted;
            };
            if (i % 2)
                asio::post(home, add);
            else
                asio::dispatch(home, add);
        });
    }
}

/// A task whose plain counter is touched by its own steps, and by functions that other threads bring it.
template<class Crowd>
task<int> counts(Crowd& crowd, asio::thread_pool& elsewhere)
{
    int count = 0;
    std::atomic<int> counted = 0;
    co_await asio::post(elsewhere, asio::deferred);
    const asio::any_io_executor home = co_await asio::this_coro::executor;
    for (int i = 0; i != functions_for_each; ++i)
        asio::post(crowd.where(), [&, home] {
            asio::dispatch(home, [&] {
                ++count;
                ++counted;
            });
        });
    count_from(elsewhere, home, count, counted);
    for (int steps = 0; counted != 2 * functions_for_each; ++steps) {
        ++count;
        if (steps % 3 == 0)
            co_await this_task::yield();
        else if (steps % 3 == 1)
            co_await asio::post(home, asio::deferred);
        else
            co_await async_visit(elsewhere, asio::deferred);
        --count;
    }
    co_return count;
}

TYPED_TEST(SerialOrder, StepsAndFunctionsOfATaskNeverMeet)
{
    int_map map(this->crowd_.where());
    for (int i = 0; i != tasks_in_order; ++i)
        map.spawn(i, counts(this->crowd_, this->elsewhere_));
    for (int i = 0; i != tasks_in_order; ++i)
        ASSERT_EQ(map.async_join_next(asio::use_future).get()->result.value(), 2 * functions_for_each);
}

TYPED_TEST(SerialOrder, TasksOfAMapOnATasksExecutorShareItsOrder)
{
    int_map map(this->crowd_.where());
    for (int i = 0; i != tasks_in_order; ++i) {
        map.spawn(i, [this]() -> task<int> {
            int count = 0;
            co_await asio::post(this->elsewhere_, asio::deferred);
            int_map inner(co_await asio::this_coro::executor);
            for (int key = 0; key != 10; ++key) {
                inner.spawn(key, [&count, key, this]() -> task<int> {
                    for (int step = 0; step != 10; ++step) {
                        ++count;
                        if ((key + step) % 2)
                            co_await this_task::yield();
                        else
                            co_await async_visit(this->elsewhere_, asio::deferred);
                    }
                    co_return 0;
                });
            }
            while (co_await inner.async_join_next())
                ++count;
            co_return count;
        });
    }
    for (int i = 0; i != tasks_in_order; ++i)
        ASSERT_EQ(map.async_join_next(asio::use_future).get()->result.value(), 110);
}

TYPED_TEST(SerialOrder, AbortsMeetParkedTasksAtEachOfTheirMoments)
{
    rival other;
    census frames(2'000);
    int_map map(this->crowd_.where());
    int_map inner(this->crowd_.where());
    inner.spawn(0, []() -> task<int> {
        co_await this_task::sleep_forever();
        co_return 0;
    });
    for (std::size_t i = 0; i != 2'000; i += 2) {
        std::vector<abort_handle> handles;
        other.race(
            [&] {
                handles.push_back(map.spawn(0, [token = frames.enter(i)]() -> task<int> {
                    co_await this_task::sleep_forever();
                    co_return 0;
                }));
                handles.push_back(map.spawn(1, [&inner, token = frames.enter(i + 1)]() -> task<int> {
                    co_await inner.async_join_next();
                    co_return 0;
                }));
                tarry(static_cast<int>(i % 64) * 8);
                for (const abort_handle& each : handles)
                    each.abort();
            },
            [] {});
        ASSERT_TRUE(map.async_join_next(asio::use_future).get());
        ASSERT_TRUE(map.async_join_next(asio::use_future).get());
    }
    EXPECT_TRUE(frames.all_gone_once());
    EXPECT_EQ(inner.size(), 1u);
}

} // namespace
} // namespace joinery::test
