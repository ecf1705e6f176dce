// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>
#include <joinery/observation.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task_tree.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/deferred.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace joinery::test {
namespace {

task<int> some_turns(int turns)
{
    for (int i = 0; i != turns; ++i)
        co_await this_task::yield();
    co_await this_task::sleep_for(std::chrono::microseconds(turns));
    co_return turns;
}

TEST(TaskTree, LooksAtTasksWhileTheyRunAndEndOnOtherThreads)
{
    constexpr int many = 2'000;
    runtime workers(2);
    std::atomic<bool> over = false;
    std::thread looker([&] {
        while (!over) {
            const std::string text = task_tree();
            EXPECT_FALSE(text.find("seen from outside") == std::string::npos && text.size() > 10'000);
        }
    });
    block_on([&]() -> task<> {
        join_map<int, int> map(workers);
        map.observe({.name = "seen from outside"});
        for (int key = 0; key != many; ++key) {
            map.spawn(key % 64, some_turns(key % 7), {.conflict = on_conflict::queue_latest});
            if (key % 5 == 0)
                map.abort(key % 64);
            if (key % 16 == 0)
                co_await map.async_join_next();
        }
        while (co_await map.async_join_next()) {
        }
        const task_counters seen = map.counters();
        EXPECT_EQ(seen.spawned, many);
        std::uint64_t ended = seen.finished + seen.failed;
        for (const std::uint64_t each : seen.cancelled)
            ended += each;
        EXPECT_EQ(ended, many);
    });
    over = true;
    looker.join();
}

} // namespace
} // namespace joinery::test
