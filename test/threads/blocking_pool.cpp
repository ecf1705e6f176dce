// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

class BlockingPool : public ::testing::Test {
protected:
    int_map::joined join(int_map& map)
    {
        std::optional<int_map::joined> next = map.async_join_next(asio::use_future).get();
        if (!next)
            throw std::logic_error("a function was lost");
        return std::move(*next);
    }

    /// Takes up a thread of a pool.
    void hold_a_thread(blocking_pool& pool)
    {
        std::atomic<bool> held = false;
        holders_.spawn_blocking_on(pool, [this, &held] {
            held = true;
            wait_until([this] { return release_.load(); });
        });
        wait_until([&] { return held.load(); });
    }

    void release()
    {
        release_ = true;
    }

    watchdog no_hang_;
    std::atomic<bool> release_ = false;
    asio::thread_pool threads_{2};
    join_set<void> holders_{threads_};
    int_map map_{threads_};
};

TEST_F(BlockingPool, RunsEveryFunctionAndNeverMoreAtOnceThanItHasThreads)
{
    blocking_pool pool({.max_threads = 2});
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    std::vector<int> joined(2'000);
    for (std::size_t i = 0; i != joined.size(); ++i) {
        map_.spawn_blocking_on(pool, static_cast<int>(i), [&, i] {
            const int now = ++running;
            int seen = most;
            while (seen < now && !most.compare_exchange_weak(seen, now)) {
            }
            if (i % 16 == 0)
                std::this_thread::yield();
            --running;
            return static_cast<int>(i);
        });
        EXPECT_LE(pool.thread_count(), 2u);
    }
    for (std::size_t i = 0; i != joined.size(); ++i) {
        const int_map::joined next = join(map_);
        ASSERT_EQ(next.result.value(), next.key);
        ASSERT_EQ(joined.at(static_cast<std::size_t>(next.key))++, 0);
    }
    EXPECT_LE(most, 2);
}

TEST_F(BlockingPool, RunsAsManyFunctionsAtOnceAsItHasThreads)
{
    constexpr int count = 20;
    blocking_pool pool({.max_threads = count});
    for (int round = 0; round != 20; ++round) {
        std::latch all(count);
        for (int i = 0; i != count; ++i)
            map_.spawn_blocking_on(pool, i, [&all] { return (all.arrive_and_wait(), 0); });
        for (int i = 0; i != count; ++i)
            ASSERT_TRUE(join(map_).result);
        EXPECT_EQ(pool.thread_count(), static_cast<std::size_t>(count)) << "one for each, and they stay";
    }
}

TEST_F(BlockingPool, UsesItsThreadsAgain)
{
    blocking_pool pool;
    std::set<std::thread::id> threads;
    join_map<int, std::thread::id> map(threads_);
    for (int i = 0; i != 500; ++i) {
        map.spawn_blocking_on(pool, i, [] { return std::this_thread::get_id(); });
        threads.insert(*map.async_join_next(asio::use_future).get()->result);
    }
    // One that has just given its result may not be idle yet when the next function comes.
    EXPECT_LE(threads.size(), 50u);
    EXPECT_LE(pool.thread_count(), 50u);
}

TEST_F(BlockingPool, EndsThreadsThatAreIdleAndStartsNewOnes)
{
    blocking_pool pool({.max_threads = 4, .keep_alive = 1ms});
    for (int round = 0; round != 20; ++round) {
        for (int i = 0; i != 8; ++i)
            map_.spawn_blocking_on(pool, i, [i] { return i; });
        for (int i = 0; i != 8; ++i)
            ASSERT_TRUE(join(map_).result);
        wait_until([&] { return pool.thread_count() == 0; });
    }
}

TEST_F(BlockingPool, AThreadThatIsAboutToEndLosesNoFunction)
{
    blocking_pool pool({.max_threads = 2, .keep_alive = 0ns});
    for (int i = 0; i != 5'000; ++i) {
        map_.spawn_blocking_on(pool, i, [i] { return i; });
        ASSERT_EQ(join(map_).result.value(), i);
    }
}

TEST_F(BlockingPool, AThreadThatWasCalledInVainHearsTheNextCall)
{
    blocking_pool pool({.max_threads = 2, .keep_alive = 1h});
    for (int round = 0; round != 5'000; ++round) {
        for (int i = 0; i != 3; ++i)
            map_.spawn_blocking_on(pool, i, [i] { return i; });
        for (int i = 0; i != 3; ++i)
            ASSERT_TRUE(join(map_).result);
    }
}

TEST_F(BlockingPool, AnExceptionIsTheFunctionsOwn)
{
    blocking_pool pool;
    map_.spawn_blocking_on(pool, 0, []() -> int { throw std::runtime_error("own"); });
    EXPECT_THROW(join(map_).result.value(), std::runtime_error);
}

TEST_F(BlockingPool, AnAbortStopsTheTokenOfAFunctionThatRunsAndItsValueCounts)
{
    blocking_pool pool;
    std::vector<abort_handle> handles;
    const auto until_stopped = [](std::stop_token stop) {
        wait_until([&] { return stop.stop_requested(); });
        return 5;
    };
    for (int round = 0; round != 300; ++round) {
        std::atomic<bool> begun = false;
        const abort_handle handle = map_.spawn_blocking_on(pool, 0, [&](std::stop_token stop) {
            begun = true;
            return until_stopped(stop);
        });
        if (round % 4 != 0)
            wait_until([&] { return begun.load(); });
        switch (round % 3) {
        case 0:
            EXPECT_TRUE(handle.abort());
            break;
        case 1:
            EXPECT_TRUE(map_.abort(0));
            break;
        default:
            EXPECT_EQ(map_.abort_all(), 1u);
        }
        const int_map::joined next = join(map_);
        if (next.result) {
            ASSERT_EQ(*next.result, 5);
        } else {
            ASSERT_TRUE(!begun && next.result.error().reason() == cancel_reason::aborted);
        }
    }
}

TEST_F(BlockingPool, AFunctionThatIsAbortedBeforeItStartsIsNeverEntered)
{
    for (const bool stoppable : {false, true}) {
        census frames(1);
        std::atomic<bool> entered = false;
        blocking_pool pool({.max_threads = 1});
        release_ = false;
        hold_a_thread(pool);
        abort_handle handle;
        if (stoppable)
            handle = map_.spawn_blocking_on(
                pool, 0, [&, token = frames.enter(0)](std::stop_token) { return (entered = true, 0); });
        else
            handle = map_.spawn_blocking_on(pool, 0, [&, token = frames.enter(0)] { return (entered = true, 0); });
        EXPECT_TRUE(handle.abort());
        release();
        const int_map::joined next = join(map_);
        ASSERT_FALSE(next.result);
        EXPECT_EQ(next.result.error().reason(), cancel_reason::aborted);
        EXPECT_FALSE(entered);
        EXPECT_TRUE(frames.all_gone_once());
    }
}

TEST_F(BlockingPool, ItsEndStopsWhatRunsAndEndsWhatWaitsAsExecutorGone)
{
    for (int round = 0; round != 200; ++round) {
        constexpr int count = 12;
        census frames(count);
        std::atomic<int> begun = 0;
        {
            blocking_pool pool({.max_threads = 3});
            for (int i = 0; i != count; ++i) {
                map_.spawn_blocking_on(
                    pool, i, [&begun, token = frames.enter(static_cast<std::size_t>(i))](std::stop_token stop) {
                        ++begun;
                        wait_until([&] { return stop.stop_requested(); });
                        return 1;
                    });
            }
            wait_until([&] { return begun > round % 4 - 1; });
        }
        ASSERT_TRUE(frames.all_gone_once()) << "the pool did not wait";
        int values = 0;
        for (int i = 0; i != count; ++i) {
            const int_map::joined next = join(map_);
            values += next.result.has_value();
            if (!next.result) {
                ASSERT_EQ(next.result.error().reason(), cancel_reason::executor_gone);
            }
        }
        ASSERT_EQ(values, begun);
        ASSERT_LE(values, 3);
    }
}

TEST_F(BlockingPool, TheOneOfAContextIsStoppedAndWaitedForWhenTheContextEnds)
{
    auto context = std::make_unique<asio::io_context>();
    int_map map(*context);
    std::atomic<bool> begun = false;
    map.spawn_blocking(0, [&](std::stop_token stop) {
        begun = true;
        wait_until([&] { return stop.stop_requested(); });
        return 7;
    });
    wait_until([&] { return begun.load(); });
    auto next = map.async_join_next(asio::bind_executor(threads_, asio::use_future));
    context.reset(); // and with it the context's own pool
    const auto got = next.get();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->result.value(), 7);
}

TEST_F(BlockingPool, TheRuntimesOwnIsUsedByItsMapsAndByThoseOnItsWorkers)
{
    runtime workers(2);
    EXPECT_EQ(workers.blocking().thread_count(), 0u);
    int_map map(workers);
    map.spawn_blocking(0, [] { return 1; });
    EXPECT_EQ(join(map).result.value(), 1);
    EXPECT_EQ(workers.blocking().thread_count(), 1u);
    const int two = workers.block_on([]() -> task<int> {
        int_map here(co_await asio::this_coro::executor);
        for (int i = 0; i != 2; ++i)
            here.spawn_blocking(i, [] { return 1; });
        int sum = 0;
        while (const auto next = co_await here.async_join_next())
            sum += *next->result;
        co_return sum;
    });
    EXPECT_EQ(two, 2);
    EXPECT_GE(workers.blocking().thread_count(), 1u);
    EXPECT_LE(workers.blocking().thread_count(), 3u);
}

TEST_F(BlockingPool, MapsOfOneContextShareItsOwn)
{
    std::mutex mutex;
    std::set<std::thread::id> seen;
    int_map other(threads_);
    const auto note = [&] {
        const std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
        return 0;
    };
    for (int i = 0; i != 200; ++i) {
        int_map& map = i % 2 == 0 ? map_ : other;
        map.spawn_blocking(i, note);
        ASSERT_TRUE(join(map).result);
    }
    EXPECT_FALSE(seen.contains(std::this_thread::get_id()));
    EXPECT_LE(seen.size(), 50u);
}

TEST_F(BlockingPool, AbortsFromManyThreadsLoseNoFunction)
{
    constexpr std::size_t count = 4'000;
    blocking_pool pool({.max_threads = 4, .keep_alive = 1ms});
    census frames(count);
    std::vector<abort_handle> handles;
    for (std::size_t i = 0; i != count; ++i) {
        handles.push_back(
            map_.spawn_blocking_on(pool, static_cast<int>(i), [i, token = frames.enter(i)](std::stop_token stop) {
                if (i % 2 == 0)
                    wait_until([&] { return stop.stop_requested(); });
                return static_cast<int>(i);
            }));
    }
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t != 8; ++t) {
        threads.emplace_back([&handles, t] {
            for (std::size_t i = 0; i != count; ++i)
                handles[(i + t * 7) % count].abort();
        });
    }
    for (std::size_t i = 0; i != count; ++i) {
        const int_map::joined next = join(map_);
        ASSERT_EQ(frames.gone(static_cast<std::size_t>(next.key)), 1);
        ASSERT_TRUE(next.result ? *next.result == next.key : next.result.error().reason() == cancel_reason::aborted);
    }
    for (std::thread& each : threads)
        each.join();
    EXPECT_TRUE(frames.all_gone_once());
}

TEST_F(BlockingPool, AFunctionIsDestroyedOnTheThreadThatRanIt)
{
    blocking_pool pool({.max_threads = 3});
    struct thread_note {
        explicit thread_note(std::atomic<int>& count)
            : strays(&count)
        {
        }
        thread_note(thread_note&& other) noexcept
            : strays(std::exchange(other.strays, nullptr))
        {
        }
        ~thread_note()
        {
            if (strays && std::this_thread::get_id() != ran)
                ++*strays;
        }
        std::atomic<int>* strays;
        std::thread::id ran;
    };
    std::atomic<int> strays = 0;
    for (int i = 0; i != 500; ++i) {
        map_.spawn_blocking_on(pool, i, [note = thread_note(strays)]() mutable {
            note.ran = std::this_thread::get_id();
            return 0;
        });
    }
    for (int i = 0; i != 500; ++i)
        ASSERT_TRUE(join(map_).result);
    EXPECT_EQ(strays, 0);
}

} // namespace
} // namespace joinery::test
