// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/blocking_pool.hpp>
#include <joinery/error.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

// Policies, limits, deadlines, and handles with which several threads use a map at once.

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using shared_map = join_map<int, int>;

constexpr int workers = 4;

/// Runs a function on several threads at once, with the number of each.
template<class F>
void on_each_thread(F function)
{
    std::vector<std::thread> threads;
    for (int i = 0; i != workers; ++i)
        threads.emplace_back([&function, i] { function(i); });
    for (std::thread& each : threads)
        each.join();
}

/// A future that a handler makes ready, which runs on the executor of the set or map.
template<class Start>
void wait_for(Start start)
{
    std::promise<void> over;
    start([&over](boost::system::error_code error, auto&&...) {
        EXPECT_FALSE(error) << error.message();
        over.set_value();
    });
    over.get_future().wait();
}

template<class Crowd>
class LifecyclesAcrossThreads : public ::testing::Test {
protected:
    /// Work that counts itself as running, for a while.
    auto run_for(int turns, int value)
    {
        return [this, turns, value]() -> task<int> {
            const auto now = running_.fetch_add(1) + 1;
            int most = most_.load();
            while (most < now && !most_.compare_exchange_weak(most, now)) {
            }
            const auto hold = co_await this_task::hold_abort();
            for (int i = 0; i != turns; ++i)
                co_await this_task::yield();
            running_.fetch_sub(1);
            co_return value;
        };
    }

    watchdog no_hang_;
    std::atomic<int> running_{0};
    std::atomic<int> most_{0};
    Crowd crowd_;
};

using lifecycle_crowds = ::testing::Types<pool_crowd, strand_crowd, context_crowd, runtime_crowd>;
TYPED_TEST_SUITE(LifecyclesAcrossThreads, lifecycle_crowds);

// -- handles -------------------------------------------------------------------------------------------------------

TYPED_TEST(LifecyclesAcrossThreads, HandlesSpawnAndAbortWhileTheOwnerJoins)
{
    constexpr int each = 250;
    shared_map map(this->crowd_.where());
    const shared_map::handle handle = map.get_handle();
    std::atomic<int> values{0};
    std::atomic<int> cancelled{0};
    std::promise<void> joined_all;
    join_set<void> owner(this->crowd_.where());
    owner.spawn([&]() -> task<> {
        while (const auto next = co_await map.async_join_until_closed())
            ++(next->result ? values : cancelled);
        joined_all.set_value();
    });
    on_each_thread([&](int thread) {
        const shared_map::handle own = handle; // a copy
        for (int i = 0; i != each; ++i) {
            const int key = thread * each + i;
            const spawned made = own.spawn(key, this->run_for(i % 3, key));
            EXPECT_EQ(made.outcome, spawn_outcome::started);
            if (i % 5 == 0)
                own.abort(key);
            if (i % 7 == 0)
                own.spawn(key + workers * each, [] { return 0; }, {.delay = 1us});
            static_cast<void>(own.contains(key));
            static_cast<void>(own.size());
        }
    });
    EXPECT_FALSE(handle.is_closed());
    handle.close();
    EXPECT_TRUE(handle.is_closed());
    joined_all.get_future().wait();
    EXPECT_TRUE(handle.empty());
    EXPECT_EQ(values + cancelled, workers * (each + each / 7 + 1));
    EXPECT_LE(cancelled, workers * each / 5);
}

TYPED_TEST(LifecyclesAcrossThreads, TheFirstToUseRulesMayBeAnyHandle)
{
    for (int round = 0; round != 50; ++round) {
        shared_map map(this->crowd_.where());
        const shared_map::handle handle = map.get_handle();
        on_each_thread([&](int thread) { handle.spawn(thread, [] { return 1; }); });
        wait_for([&](auto handler) { map.async_join_all(std::move(handler)); });
        EXPECT_TRUE(map.empty());
    }
}

TYPED_TEST(LifecyclesAcrossThreads, AHandleOutlivesTheMapAndFindsItClosedAndEmpty)
{
    std::optional<shared_map> map(this->crowd_.where());
    const shared_map::handle handle = map->get_handle();
    std::atomic<int> refused{0};
    std::atomic<int> busy{0};
    std::thread destroyer([&] {
        wait_until([&] { return busy == workers; });
        map.reset();
    });
    on_each_thread([&](int thread) {
        ++busy;
        try {
            for (int i = 0;; ++i)
                handle.spawn(thread * 1'000'000 + i, [] { return 0; });
        } catch (const boost::system::system_error& error) {
            EXPECT_EQ(error.code(), errc::closed);
            ++refused;
        }
    });
    destroyer.join();
    EXPECT_EQ(refused, workers);
    EXPECT_TRUE(handle.is_closed() && handle.empty());
    EXPECT_FALSE(handle.abort(0));
    EXPECT_EQ(handle.abort_all(), 0u);
    handle.close();
    const shared_map::handle copy = handle;
    EXPECT_FALSE(copy.contains(0));
}

TYPED_TEST(LifecyclesAcrossThreads, ASetHasHandlesToo)
{
    join_set<int> set(this->crowd_.where());
    std::optional handle(set.get_handle());
    on_each_thread([handle = *handle](int thread) { handle.spawn([thread] { return thread; }); });
    EXPECT_LE(handle->abort_all(), 4u);
    handle.reset();
    wait_for([&](auto handler) { set.async_join_all(std::move(handler)); });
    EXPECT_TRUE(set.empty());
}

// -- rules ---------------------------------------------------------------------------------------------------------

TYPED_TEST(LifecyclesAcrossThreads, TasksThatWaitAreAbortedByOtherThreads)
{
    constexpr int each = 200;
    constexpr int all = workers * each;
    shared_map map(this->crowd_.where());
    std::vector<abort_handle> handles;
    map.set_limits({.running = 2});
    for (int key = 0; key != all; ++key)
        handles.push_back(map.spawn(key, this->run_for(key % 3, key)));
    std::thread stranger([&] {
        on_each_thread([&](int thread) {
            for (int i = 0; i != each; ++i) {
                if (i % 2)
                    handles[static_cast<std::size_t>(i * workers + thread)].abort();
            }
        });
    });
    int joined = 0;
    while (const auto next = join_at_home(map).get()) {
        ++joined;
        if (next->result) {
            EXPECT_EQ(*next->result, next->key);
        }
    }
    stranger.join();
    EXPECT_EQ(joined, all);
    EXPECT_LE(this->most_, 2);
    EXPECT_EQ(this->running_, 0);
}

TYPED_TEST(LifecyclesAcrossThreads, OneKeyNeverHasTwoTasksAtOnceAfterExit)
{
    shared_map map(this->crowd_.where());
    const shared_map::handle handle = map.get_handle();
    on_each_thread([&](int thread) {
        for (int i = 0; i != 100; ++i) {
            const auto policy = i % 2 ? on_conflict::replace_after_exit : on_conflict::queue_latest;
            handle.spawn(1, this->run_for(2, thread), {.conflict = policy});
        }
    });
    wait_for([&](auto handler) { map.async_join_all(std::move(handler)); });
    EXPECT_EQ(this->most_, 1);
    EXPECT_EQ(this->running_, 0);
}

TYPED_TEST(LifecyclesAcrossThreads, ADeadlineThatPassesDuringTheSpawnIsNotLost)
{
    constexpr int many = 400;
    blocking_pool pool;
    shared_map map(this->crowd_.where());
    for (int key = 0; key != many; ++key) {
        const auto now = std::chrono::steady_clock::now();
        if (key % 2) {
            map.spawn(key, this->run_for(0, key), {.delay = 1h, .deadline = now});
        } else {
            map.spawn_blocking_on(pool, key,
                                  [](std::stop_token token) {
                                      while (!token.stop_requested())
                                          std::this_thread::yield();
                                      return 0;
                                  },
                                  {.deadline = now});
        }
    }
    wait_for([&](auto handler) { map.async_join_all(std::move(handler)); });
    EXPECT_EQ(this->most_, 0);
}

TYPED_TEST(LifecyclesAcrossThreads, DeadlinesAndDelaysMeetTheEndsOfTheirTasks)
{
    shared_map map(this->crowd_.where());
    map.set_limits({.running = 3});
    for (int key = 0; key != 300; ++key) {
        const auto soon = std::chrono::steady_clock::now() + std::chrono::microseconds(key);
        map.spawn(key % 100, this->run_for(key % 4, key),
                  {.conflict = key % 3 ? on_conflict::replace_after_exit : on_conflict::replace,
                   .delay = std::chrono::microseconds(key % 50),
                   .deadline = soon});
    }
    wait_for([&](auto handler) { map.async_join_all(std::move(handler)); });
    wait_for([&](auto handler) { map.async_shutdown(std::move(handler)); });
    EXPECT_LE(this->most_, 3);
    EXPECT_EQ(this->running_, 0);
}

TYPED_TEST(LifecyclesAcrossThreads, SpawnsThatWaitForRoomAreCancelledByOtherThreads)
{
    constexpr int many = 100;
    std::atomic<int> over{0};
    std::atomic<int> spawned_tasks{0};
    std::vector<asio::cancellation_signal> signals(many);
    shared_map map(this->crowd_.where());
    map.discard_results();
    map.set_limits({.running = 1, .waiting = 1});
    for (std::size_t i = 0; i != many; ++i) {
        const asio::any_io_executor strand = asio::make_strand(map.get_executor());
        map.async_spawn(static_cast<int>(i), this->run_for(1, 0), {},
                        asio::bind_executor(strand, asio::bind_cancellation_slot(
                                                        signals[i].slot(), [&](boost::system::error_code error, auto) {
                                                            spawned_tasks += !error;
                                                            ++over;
                                                        })));
        if (i % 3 == 0)
            asio::post(strand, [&signal = signals[i]] { signal.emit(asio::cancellation_type::terminal); });
    }
    wait_until([&] { return over == many; });
    EXPECT_GE(spawned_tasks, many - many / 3 - 1);
    wait_until([&] { return map.empty(); });
    EXPECT_LE(this->most_, 1);
}

TYPED_TEST(LifecyclesAcrossThreads, AShutdownWithGraceMeetsAllKindsOfTasks)
{
    for (int round = 0; round != 20; ++round) {
        shared_map map(this->crowd_.where());
        map.set_limits({.running = 6});
        for (int key = 0; key != 4; ++key) {
            map.spawn(key, [key]() -> task<int> {
                const std::stop_token token = co_await this_task::stop_token();
                while (key % 2 || !token.stop_requested())
                    co_await this_task::yield();
                co_return 1;
            });
        }
        for (int key = 4; key != 12; ++key)
            map.spawn(key, this->run_for(3, key));
        map.spawn(0, [] { return 0; }, {.conflict = on_conflict::queue_latest, .delay = 1h});
        std::atomic<int> waiters{0};
        for (int key = 0; key != 12; ++key)
            map.async_join(key, [&](boost::system::error_code, auto) { ++waiters; });
        wait_for([&](auto handler) { map.async_shutdown(100us, 1h, std::move(handler)); });
        wait_until([&] { return waiters == 12; });
        EXPECT_TRUE(map.empty());
    }
    EXPECT_EQ(this->running_, 0);
}

TYPED_TEST(LifecyclesAcrossThreads, OneFlightIsSharedAndGivenUpByTasksOnSeveralThreads)
{
    std::atomic<int> answers{0};
    shared_map map(this->crowd_.where());
    for (int round = 0; round != 50; ++round) {
        join_set<int> askers(this->crowd_.where());
        std::vector<abort_handle> handles;
        // The owner begins each join; tasks wait for what comes of it.
        for (int i = 0; i != 4; ++i) {
            auto asked = map.async_get(round, this->run_for(2, round));
            handles.push_back(askers.spawn([&answers, asked = std::move(asked), round]() mutable -> task<int> {
                const auto joined = co_await std::move(asked);
                EXPECT_EQ(joined->key, round);
                ++answers;
                co_return 0;
            }));
        }
        on_each_thread([&](int thread) {
            if ((round + thread) % 3 == 0)
                handles[static_cast<std::size_t>(thread)].abort();
        });
        wait_for([&](auto handler) { askers.async_join_all(std::move(handler)); });
    }
    EXPECT_GT(answers, 50);
    wait_for([&](auto handler) { map.async_shutdown(std::move(handler)); });
    EXPECT_EQ(this->running_, 0);
}

} // namespace
} // namespace joinery::test
