// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <future>
#include <gtest/gtest.h>
#include <latch>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

class Runtime : public ::testing::Test {
protected:
    watchdog no_hang_;
};

task<int> for_ever()
{
    co_await this_task::sleep_forever();
    co_return 0;
}

task<> yield_a_few_times()
{
    for (int i = 0; i != 3; ++i)
        co_await this_task::yield();
}

// -- block_on ------------------------------------------------------------------------------------------------------

TEST_F(Runtime, BlockOnFromSeveralThreadsGivesEachItsOwn)
{
    runtime workers(2);
    std::vector<std::thread> threads;
    for (int t = 0; t != 4; ++t) {
        threads.emplace_back([&workers, t] {
            for (int i = 0; i != 500; ++i) {
                const int value = workers.block_on([=]() -> task<int> {
                    co_await yield_a_few_times();
                    co_return 1000 * t + i;
                });
                EXPECT_EQ(value, 1000 * t + i);
                const std::string text = std::to_string(value);
                try {
                    workers.block_on([text]() -> task<std::unique_ptr<int>> {
                        co_await this_task::yield();
                        throw std::runtime_error(text);
                    });
                    ADD_FAILURE() << "nothing was thrown";
                } catch (const std::runtime_error& error) {
                    EXPECT_EQ(error.what(), text);
                }
            }
        });
    }
    for (std::thread& each : threads)
        each.join();
}

TEST_F(Runtime, OneTaskAfterTheOtherWakesItEachTime)
{
    // Between two of them the workers fall asleep, or are about to: a wake-up that is lost would hang.
    runtime workers(2);
    for (int i = 0; i != 100'000; ++i)
        ASSERT_EQ(workers.block_on([i] { return i; }), i);
}

TEST_F(Runtime, TwoTasksThatWaitForEachOthersResultsWakeEachOther)
{
    runtime workers(2);
    const int sum = workers.block_on([&]() -> task<int> {
        int_map map(workers);
        int all = 0;
        for (int i = 0; i != 20'000; ++i) {
            map.spawn(0, []() -> task<int> { co_return 1; });
            all += *(co_await map.async_join_next())->result;
        }
        co_return all;
    });
    EXPECT_EQ(sum, 20'000);
}

TEST_F(Runtime, AJoinerOutsideAndTasksThatSleepWakeEachOther)
{
    runtime workers(2);
    int_map map(workers);
    for (int i = 0; i != 5'000; ++i) {
        map.spawn(i, [i]() -> task<int> {
            if (i % 2 == 0)
                co_await this_task::sleep_for(std::chrono::microseconds(i % 100));
            co_return i;
        });
        const auto next = map.async_join_next(asio::use_future).get();
        ASSERT_TRUE(next && *next->result == i);
    }
}

// -- where tasks run -----------------------------------------------------------------------------------------------

TEST_F(Runtime, ATaskThatHasStartedStaysOnItsThread)
{
    runtime workers(4);
    asio::thread_pool elsewhere(1);
    join_map<int, bool> map(workers);
    for (int i = 0; i != 400; ++i) {
        map.spawn(i, [&elsewhere, i]() -> task<bool> {
            const std::thread::id here = std::this_thread::get_id();
            const asio::any_io_executor home = co_await asio::this_coro::executor;
            bool stayed = true;
            for (int k = 0; k != 5; ++k) {
                if ((i + k) % 4 == 0)
                    co_await this_task::yield();
                else if ((i + k) % 4 == 1)
                    co_await this_task::sleep_for(10us);
                else if ((i + k) % 4 == 2)
                    co_await async_visit(elsewhere, asio::deferred);
                else
                    co_await asio::post(home, asio::deferred);
                stayed = stayed && std::this_thread::get_id() == here && home == co_await asio::this_coro::executor;
            }
            co_return stayed;
        });
    }
    while (const auto next = map.async_join_next(asio::use_future).get())
        EXPECT_TRUE(*next->result) << "task " << next->key << " moved";
}

TEST_F(Runtime, AMapOnAWorkersExecutorHasAllItsTasksThere)
{
    runtime workers(3);
    join_set<bool> outer(workers);
    for (int i = 0; i != 6; ++i) {
        outer.spawn([]() -> task<bool> {
            const std::thread::id here = std::this_thread::get_id();
            join_map<int, bool> map(co_await asio::this_coro::executor);
            for (int k = 0; k != 200; ++k) {
                map.spawn(k, [here, k]() -> task<bool> {
                    const bool began = std::this_thread::get_id() == here;
                    if (k % 2 == 0)
                        co_await this_task::yield();
                    else
                        co_await this_task::sleep_for(1us);
                    co_return began&& std::this_thread::get_id() == here;
                });
            }
            bool stayed = true;
            while (const auto next = co_await map.async_join_next())
                stayed = stayed && *next->result;
            co_return stayed;
        });
    }
    for (const auto& each : outer.async_join_all(asio::use_future).get())
        EXPECT_TRUE(*each.result);
}

/// Tasks that each hold a thread until all of them run.
void meet(runtime& workers, std::ptrdiff_t tasks)
{
    join_set<void> set(workers);
    std::latch all(tasks);
    for (std::ptrdiff_t i = 0; i != tasks; ++i)
        set.spawn([&all] { all.arrive_and_wait(); });
    ASSERT_EQ(set.async_join_all(asio::use_future).get().size(), static_cast<std::size_t>(tasks));
}

TEST_F(Runtime, AsManyTasksAsThereAreWorkersRunAtOnceWhoeverSpawnsThem)
{
    for (const std::size_t count : {2u, 4u, 8u}) {
        runtime workers(count);
        const auto tasks = static_cast<std::ptrdiff_t>(count);
        for (int round = 0; round != 300; ++round) {
            ASSERT_NO_FATAL_FAILURE(meet(workers, tasks)); // from outside
            workers.block_on([&]() -> task<> {             // from inside, and from a task that holds its worker
                join_set<void> set(workers);
                std::latch all(tasks);
                for (std::ptrdiff_t i = 1; i != tasks; ++i)
                    set.spawn([&all] { all.arrive_and_wait(); });
                all.arrive_and_wait();
                static_cast<void>(co_await set.async_join_all());
            });
        }
    }
}

TEST_F(Runtime, AWorkerThatIsHeldDelaysNoTaskThatHasNotStarted)
{
    runtime workers(2);
    for (int round = 0; round != 300; ++round) {
        const std::size_t joined = workers.block_on([&workers]() -> task<std::size_t> {
            join_set<void> behind(workers); // on the worker that this task holds
            std::latch last_ran(1);
            for (int i = 0; i != 19; ++i)
                behind.spawn([] {});
            behind.spawn([&last_ran] { last_ran.count_down(); });
            last_ran.wait();
            co_return (co_await behind.async_join_all()).size();
        });
        ASSERT_EQ(joined, 20u);
    }
}

TEST_F(Runtime, TasksThatYieldKeepNoTaskFromStarting)
{
    for (const std::size_t count : {1u, 3u}) {
        runtime workers(count);
        join_set<void> set(workers);
        std::atomic<bool> started = false;
        for (std::size_t i = 0; i != 2 * count; ++i) {
            set.spawn([&started]() -> task<> {
                while (!started)
                    co_await this_task::yield();
            });
        }
        set.spawn([&started] { started = true; });
        EXPECT_EQ(set.async_join_all(asio::use_future).get().size(), 2 * count + 1);
    }
}

TEST_F(Runtime, TasksThatYieldKeepNoHandlerFromRunning)
{
    runtime workers(1);
    join_set<void> set(workers);
    std::atomic<bool> ran = false;
    set.spawn([&ran]() -> task<> {
        while (!ran)
            co_await this_task::yield();
    });
    set.spawn([&ran]() -> task<> {
        co_await this_task::sleep_for(1us);
        ran = true;
    });
    EXPECT_EQ(set.async_join_all(asio::use_future).get().size(), 2u);
}

TEST_F(Runtime, PostedFunctionsRunOnItsThreads)
{
    runtime workers(2);
    std::atomic<int> count = 0;
    std::atomic<bool> outside = false;
    const std::thread::id here = std::this_thread::get_id();
    for (int i = 0; i != 1'000; ++i) {
        asio::post(workers.get_executor(), [&] {
            outside = outside || std::this_thread::get_id() == here;
            ++count;
        });
    }
    wait_until([&] { return count == 1'000; });
    EXPECT_FALSE(outside);
}

TEST_F(Runtime, APostedFunctionThatComputesHoldsBackNoTask)
{
    runtime workers(2);
    for (int round = 0; round != 300; ++round) {
        std::latch function_began(1);
        std::latch task_ran(1);
        std::promise<void> function_ended;
        asio::post(workers.get_executor(), [&] {
            function_began.count_down();
            task_ran.wait();
            function_ended.set_value();
        });
        if (round % 2)
            function_began.wait();
        workers.block_on([&task_ran] { task_ran.count_down(); });
        function_ended.get_future().wait();
    }
}

TEST(ThreadPool, ATaskThatComputesHoldsBackNoOther)
{
    const watchdog no_hang;
    asio::thread_pool pool(2);
    for (int round = 0; round != 300; ++round) {
        join_set<void> set(pool);
        std::latch last_ran(1);
        set.spawn([&last_ran] { last_ran.wait(); });
        for (int i = 0; i != 50; ++i)
            set.spawn(yield_a_few_times());
        set.spawn([]() -> task<> { co_await this_task::sleep_for(1us); });
        set.spawn([&last_ran] { last_ran.count_down(); });
        ASSERT_EQ(set.async_join_all(asio::use_future).get().size(), 53u);
    }
}

// -- nested work ---------------------------------------------------------------------------------------------------

task<int> count_leaves(runtime& workers, int depth)
{
    if (depth == 0)
        co_return 1;
    int_map map(workers);
    for (int i = 0; i != 4; ++i)
        map.spawn(i, count_leaves(workers, depth - 1));
    int leaves = 0;
    while (const auto next = co_await map.async_join_next())
        leaves += *next->result;
    co_return leaves;
}

TEST_F(Runtime, TasksThatSpawnAndJoinTasksCountAllLeaves)
{
    for (const std::size_t count : {1u, 2u, 4u}) {
        runtime workers(count);
        EXPECT_EQ(workers.block_on(count_leaves(workers, 6)), 4096);
    }
}

// -- the end -------------------------------------------------------------------------------------------------------

TEST_F(Runtime, IsDestroyedWithNestedWorkOnAnyNumberOfWorkers)
{
    for (std::size_t count = 1; count != 9; ++count) {
        for (int round = 0; round != 4; ++round) {
            auto workers = std::make_unique<runtime>(count);
            int_map map(*workers);
            for (int i = 0; i != 20; ++i) {
                map.spawn(i, count_leaves(*workers, i % 5));
                map.spawn(100 + i, for_ever());
                map.spawn(200 + i, []() -> task<int> {
                    for (;;)
                        co_await this_task::yield();
                });
                map.spawn_blocking(300 + i, [] { return 0; });
            }
            tarry(round * 2'000);
            workers.reset();
            int joined = 0;
            while (map.try_join_next())
                ++joined;
            ASSERT_EQ(joined, 80);
            ASSERT_TRUE(map.empty());
        }
    }
}

TEST_F(Runtime, UsesNoProcessorWhenItHasNothingToDo)
{
    runtime workers(4);
    workers.block_on(yield_a_few_times());
    int_map map(workers);
    map.spawn(0, for_ever());
    map.spawn(1, []() -> task<int> {
        co_await this_task::sleep_for(1ms); // the worker's timer is there, and waits
        co_await this_task::sleep_for(1h);
        co_return 0;
    });
    const auto used = [] {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    // A worker that spins would use most of each period. One period without suffices: the first ones may see it fall
    // asleep, and the sanitizers' own threads work now and then.
    bool idle = false;
    for (int period = 0; period != 50 && !idle; ++period) {
        const auto before = used();
        std::this_thread::sleep_for(100ms);
        idle = used() - before < 10ms;
    }
    EXPECT_TRUE(idle);
}

} // namespace
} // namespace joinery::test
