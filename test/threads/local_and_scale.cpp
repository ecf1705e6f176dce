// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

// -- local_set -----------------------------------------------------------------------------------------------------

/// Notes when it is destroyed on another thread than the one that made it. It may be moved.
class thread_bound {
public:
    explicit thread_bound(std::atomic<int>& strays)
        : strays_(&strays)
    {
    }

    thread_bound(thread_bound&& other) noexcept
        : strays_(std::exchange(other.strays_, nullptr))
        , made_(other.made_)
    {
    }

    thread_bound& operator=(thread_bound&&) = delete;

    ~thread_bound()
    {
        if (strays_ && std::this_thread::get_id() != made_)
            ++*strays_;
    }

private:
    std::atomic<int>* strays_;
    std::thread::id made_ = std::this_thread::get_id();
};

class LocalSetThreads : public ::testing::Test {
protected:
    /// Spawns on a set tasks that wait in one way or another, while other threads abort them at once.
    void spawn_and_abort(local_set& local, int_map& map, census& frames, std::size_t count)
    {
        std::vector<abort_handle> handles;
        for (std::size_t i = 0; i != count; ++i) {
            handles.push_back(
                map.spawn_local_on(local, static_cast<int>(i),
                                   [token = frames.enter(i), parameter = thread_bound(strays_), this]() -> task<int> {
                                       const thread_bound inside(strays_);
                                       if (token.index() % 4 == 0)
                                           co_await this_task::sleep_forever();
                                       else if (token.index() % 4 == 1)
                                           co_await this_task::sleep_for(1h);
                                       else if (token.index() % 4 == 2)
                                           co_await async_visit(elsewhere_, asio::deferred);
                                       else
                                           for (;;)
                                               co_await this_task::yield();
                                       co_return 1;
                                   }));
        }
        for (std::size_t t = 0; t != 8; ++t) {
            threads_.emplace_back([handles, t, count] {
                for (std::size_t i = 0; i != count; ++i)
                    handles[(i * 5 + t) % count].abort();
            });
        }
    }

    void join_threads()
    {
        for (std::thread& each : threads_)
            each.join();
        threads_.clear();
    }

    watchdog no_hang_;
    asio::thread_pool elsewhere_{1};
    std::atomic<int> strays_ = 0;
    std::vector<std::thread> threads_;
};

TEST_F(LocalSetThreads, FramesAreDestroyedOnItsThreadThoughOtherThreadsAbort)
{
    constexpr std::size_t tasks = 50;
    for (int round = 0; round != 100; ++round) {
        census frames(tasks);
        local_set local;
        int_map map(local);
        spawn_and_abort(local, map, frames, tasks);
        std::size_t joined = 0;
        local.run_until([&]() -> task<> {
            while (const auto next = co_await map.async_join_next()) {
                EXPECT_TRUE(next->result || next->result.error().reason() == cancel_reason::aborted);
                EXPECT_EQ(frames.gone(static_cast<std::size_t>(next->key)), 1);
                ++joined;
            }
        });
        join_threads();
        ASSERT_EQ(joined, tasks);
        ASSERT_EQ(strays_, 0);
    }
}

TEST_F(LocalSetThreads, ItsEndDestroysFramesOnItsThreadWhileOtherThreadsAbort)
{
    constexpr std::size_t tasks = 50;
    for (int round = 0; round != 100; ++round) {
        census frames(tasks);
        std::optional<local_set> local(std::in_place);
        int_map map(*local);
        spawn_and_abort(*local, map, frames, tasks);
        for (int i = 0; i != round % 10; ++i)
            local->run_until([]() -> task<> { co_await this_task::yield(); });
        // What still visits another thread comes back before the end, as Asio wants it of every operation.
        local->run_until(async_visit(elsewhere_, asio::deferred));
        local.reset();
        join_threads();
        std::size_t joined = 0;
        while (map.try_join_next())
            ++joined;
        ASSERT_EQ(joined, tasks);
        ASSERT_TRUE(frames.all_gone_once());
        ASSERT_EQ(strays_, 0);
    }
}

TEST_F(LocalSetThreads, HandlesOfItsTasksWorkElsewhereWhenItIsGone)
{
    std::optional<local_set> local(std::in_place);
    int_map map(*local);
    const abort_handle handle = map.spawn_local_on(*local, 0, []() -> task<int> { co_return 1; });
    local.reset();
    std::thread([&handle] {
        EXPECT_TRUE(handle.is_finished());
        EXPECT_FALSE(handle.abort());
    }).join();
    const auto next = map.try_join_next();
    ASSERT_TRUE(next && !next->result);
    EXPECT_EQ(next->result.error().reason(), cancel_reason::executor_gone);
}

TEST_F(LocalSetThreads, ATaskOnItJoinsTasksOfARuntime)
{
    runtime workers(2);
    local_set local;
    const int sum = local.run_until([&]() -> task<int> {
        const std::thread::id here = std::this_thread::get_id();
        int_map map(workers);
        int all = 0;
        for (int i = 0; i != 5'000; ++i) {
            for (int k = 0; k != i % 3 + 1; ++k)
                map.spawn(k, [i]() -> task<int> {
                    if (i % 2 == 0)
                        co_await this_task::yield();
                    co_return 1;
                });
            while (const auto next = co_await map.async_join_next()) {
                EXPECT_EQ(std::this_thread::get_id(), here);
                all += *next->result;
            }
        }
        co_return all;
    });
    EXPECT_EQ(sum, 9'999);
}

TEST_F(LocalSetThreads, SeveralSetsRunBesideEachOther)
{
    for (int t = 0; t != 4; ++t) {
        threads_.emplace_back([] {
            for (int round = 0; round != 50; ++round) {
                local_set local;
                int_map map(local);
                const int sum = local.run_until([&]() -> task<int> {
                    EXPECT_EQ(local_set::current(), &local);
                    for (int i = 0; i != 20; ++i)
                        map.spawn_local(i, []() -> task<int> {
                            co_await this_task::yield();
                            co_return 1;
                        });
                    int all = 0;
                    while (const auto next = co_await map.async_join_next())
                        all += *next->result;
                    co_return all;
                });
                EXPECT_EQ(sum, 20);
            }
        });
    }
    join_threads();
}

TEST(LocalSetRun, UsesNoProcessorWhileItWaitsForAnotherContext)
{
    const watchdog no_hang;
    asio::thread_pool elsewhere(1);
    local_set local;
    join_set<int> set(local);
    set.spawn([&]() -> task<int> {
        asio::steady_timer timer(elsewhere, 300ms);
        co_await timer.async_wait(asio::deferred);
        co_return 1;
    });
    const auto used = [] {
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    const auto before = used();
    local.run();
    EXPECT_LT(used() - before, 100ms);
    EXPECT_EQ(set.try_join_next()->result.value(), 1);
}

// -- great numbers -------------------------------------------------------------------------------------------------

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define JOINERY_TEST_UNDER_TSAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define JOINERY_TEST_UNDER_TSAN 1
#endif

#ifdef JOINERY_TEST_UNDER_TSAN
constexpr int multitude = 200'000; // its shadow memory and its speed would have a million take most of the suite's time
#else
constexpr int multitude = 1'000'000;
#endif

struct pending {
    std::atomic<int> alive = 0;

    task<int> wait()
    {
        struct note {
            explicit note(std::atomic<int>& count)
                : alive(count)
            {
                ++alive;
            }
            ~note()
            {
                --alive;
            }
            note(const note&) = delete;
            note& operator=(const note&) = delete;
            std::atomic<int>& alive;
        };
        const note here(alive);
        co_await this_task::sleep_forever();
        co_return 0;
    }
};

TEST(GreatNumbers, AMillionPendingTasksAreSpawnedAbortedAndJoinedOnOneThread)
{
    const watchdog no_hang;
    pending tasks;
    block_on([&]() -> task<> {
        int_map map(co_await asio::this_coro::executor);
        for (int i = 0; i != multitude; ++i)
            map.spawn(i, tasks.wait());
        EXPECT_EQ(map.size(), static_cast<std::size_t>(multitude));
        while (tasks.alive != multitude)
            co_await this_task::yield();
        EXPECT_EQ(map.abort_all(), static_cast<std::size_t>(multitude));
        int joined = 0;
        while (const auto next = co_await map.async_join_next()) {
            joined += !next->result && next->result.error().is_cancelled();
        }
        EXPECT_EQ(joined, multitude);
    });
    EXPECT_EQ(tasks.alive, 0);
}

TEST(GreatNumbers, AMillionPendingTasksAreSpawnedAbortedAndJoinedOnARuntime)
{
    const watchdog no_hang;
    pending tasks;
    runtime workers(2);
    int_map map(workers);
    for (int i = 0; i != multitude; ++i)
        map.spawn(i, tasks.wait());
    wait_until([&] { return tasks.alive == multitude; });
    EXPECT_EQ(map.abort_all(), static_cast<std::size_t>(multitude));
    int joined = 0;
    for (;;) {
        auto next = map.try_join_next();
        if (!next)
            next = map.async_join_next(asio::use_future).get();
        if (!next)
            break;
        joined += !next->result && next->result.error().is_cancelled();
    }
    EXPECT_EQ(joined, multitude);
    EXPECT_EQ(tasks.alive, 0);
}

TEST(GreatNumbers, ManyPendingTasksEndWithTheirMap)
{
    const watchdog no_hang;
    pending tasks;
    runtime workers(2);
    {
        int_map map(workers);
        for (int i = 0; i != multitude / 10; ++i)
            map.spawn(i, tasks.wait());
        wait_until([&] { return tasks.alive == multitude / 10; });
    }
    wait_until([&] { return tasks.alive == 0; });
}

/// Joins ten thousand ready results, and returns how many when a timer that was due from the first could run.
task<int> joined_when_the_timer_ran()
{
    constexpr int burst = 10'000;
    const asio::any_io_executor home = co_await asio::this_coro::executor;
    int_map map(home);
    for (int i = 0; i != burst; ++i)
        map.spawn(i, [i] { return i; });
    std::vector<abort_handle> handles;
    for (int i = 0; i != burst; ++i)
        handles.push_back(*map.find(i));
    for (const abort_handle& each : handles) {
        while (!each.is_finished())
            co_await this_task::yield();
    }
    const auto ran_at = std::make_shared<std::atomic<int>>(-1);
    const auto joined = std::make_shared<std::atomic<int>>(0);
    asio::steady_timer timer(home, asio::steady_timer::time_point::min());
    timer.async_wait([ran_at, joined](boost::system::error_code) { ran_at->store(*joined); });
    while (co_await map.async_join_next())
        ++*joined;
    EXPECT_EQ(*joined, burst);
    co_return ran_at->load();
}

TEST(GreatNumbers, TenThousandReadyResultsAreJoinedWithoutStarvingATimer)
{
    const watchdog no_hang;
    const auto check = [](int joined_by_then, const char* where) {
        EXPECT_GE(joined_by_then, 0) << where << ": the timer never ran";
        EXPECT_LE(joined_by_then, 1'000) << where;
    };
    check(block_on(joined_when_the_timer_ran()), "block_on");
    runtime workers(1);
    check(workers.block_on(joined_when_the_timer_ran()), "runtime");
    asio::thread_pool pool(1);
    join_set<int> set(pool);
    set.spawn(joined_when_the_timer_ran());
    check(*set.async_join_next(asio::use_future).get()->result, "thread_pool");
}

} // namespace
} // namespace joinery::test
