// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/blocking_pool.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/observation.hpp>
#include <joinery/task_tree.hpp>
#include <joinery/this_task.hpp>

#include <manual_event.hpp>
#include <run.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace joinery::test {
namespace {

namespace asio = boost::asio;

/// What is seen of the task under a key.
template<class Map, class K>
typename Map::sight sight_of(const Map& map, const K& key)
{
    for (auto& each : map.snapshot()) {
        if (each.key == key)
            return each;
    }
    ADD_FAILURE() << "the task is not seen";
    return {};
}

bool has_line(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

TEST(JoinMapSnapshot, SeesOnlyWhatWasSpawnedSinceTheObservationBegan)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.spawn(1, wait_forever());
    EXPECT_TRUE(map.snapshot().empty());
    map.observe();
    map.spawn(2, wait_forever());
    const auto seen = map.snapshot();
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].key, 2);
    EXPECT_EQ(seen[0].id, map.find(2)->id());
}

TEST(JoinMapSnapshot, SaysWhereATaskWasSpawnedAndHowItIsCalled)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.observe();
    const auto before = std::source_location::current().line();
    map.spawn(1, wait_forever());
    map.spawn(2, wait_forever(), {.name = "the second"});
    EXPECT_EQ(sight_of(map, 1).where.line(), before + 1);
    EXPECT_TRUE(has_line(sight_of(map, 1).where.file_name(), "observation.cpp"));
    EXPECT_EQ(sight_of(map, 1).name, "");
    EXPECT_EQ(sight_of(map, 2).where.line(), before + 2);
    EXPECT_EQ(sight_of(map, 2).name, "the second");
}

TEST(JoinMapSnapshot, FollowsATaskFromItsSpawnToItsEnd)
{
    asio::io_context context;
    manual_event event(context.get_executor());
    join_map<int, int> map(context);
    map.observe();
    std::optional<task_state> while_running;
    map.spawn(1, [&]() -> task<int> {
        while_running = sight_of(map, 1).state;
        co_await event.async_wait();
        co_return 1;
    });
    EXPECT_EQ(sight_of(map, 1).state, task_state::waiting);
    poll(context);
    EXPECT_EQ(while_running, task_state::running);
    EXPECT_EQ(sight_of(map, 1).state, task_state::suspended);
    EXPECT_EQ(sight_of(map, 1).waits_for, "an operation");
    event.complete();
    poll(context);
    EXPECT_EQ(sight_of(map, 1).state, task_state::finished);
    EXPECT_EQ(map.try_join_next()->result.value(), 1);
    EXPECT_TRUE(map.snapshot().empty());
}

TEST(JoinMapSnapshot, TellsAnAbortedTaskFromOneThatHoldsTheAbortBack)
{
    asio::io_context context;
    manual_event slow(context.get_executor(), when_cancelled::goes_on);
    manual_event held(context.get_executor());
    join_map<int, int> map(context);
    map.observe();
    map.spawn(1, wait(slow));
    map.spawn(2, [&]() -> task<int> {
        const auto hold = co_await this_task::hold_abort();
        co_await held.async_wait();
        co_return 2;
    });
    poll(context);
    EXPECT_FALSE(sight_of(map, 1).since_abort);
    map.abort_all();
    poll(context);
    EXPECT_EQ(sight_of(map, 1).state, task_state::aborting);
    EXPECT_EQ(sight_of(map, 2).state, task_state::held);
    EXPECT_TRUE(sight_of(map, 1).since_abort);
    EXPECT_GE(sight_of(map, 1).age, *sight_of(map, 1).since_abort);
    slow.complete();
    held.complete();
    run(context);
    EXPECT_EQ(sight_of(map, 1).state, task_state::finished);
    EXPECT_EQ(map.counters().cancelled_as(cancel_reason::aborted), 1u);
    EXPECT_EQ(map.counters().finished, 1u); // it was held, and then did not wait any more
}

TEST(JoinMapSnapshot, SaysWhatASuspendedTaskWaitsFor)
{
    local_set local;
    local.run_until([&]() -> task<> {
        join_set<int> nothing(local.get_executor());
        nothing.spawn(wait_forever());
        join_map<std::string, int> map(local.get_executor());
        map.observe();
        map.spawn("timer", []() -> task<int> {
            co_await this_task::sleep_for(std::chrono::hours(1));
            co_return 0;
        });
        map.spawn("abort", wait_forever());
        map.spawn("join", [&]() -> task<int> {
            co_await nothing.async_join_next();
            co_return 0;
        });
        co_await this_task::yield();
        co_await this_task::yield();
        EXPECT_EQ(sight_of(map, "timer").waits_for, "a timer");
        EXPECT_EQ(sight_of(map, "abort").waits_for, "an abort");
        EXPECT_EQ(sight_of(map, "join").waits_for, "a join");
    });
}

TEST(JoinMapCounters, CountHowTasksEnd)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.observe();
    map.spawn(1, give(1));
    map.spawn(2, []() -> int { throw std::runtime_error("no"); });
    map.spawn(3, wait_forever());
    map.spawn(4, wait_forever());
    map.spawn(4, give(4));
    map.abort(3);
    run(context);
    const task_counters seen = map.counters();
    EXPECT_EQ(seen.spawned, 5u);
    EXPECT_EQ(seen.finished, 2u);
    EXPECT_EQ(seen.failed, 1u);
    EXPECT_EQ(seen.cancelled_as(cancel_reason::aborted), 1u);
    EXPECT_EQ(seen.cancelled_as(cancel_reason::replaced), 1u);
    EXPECT_EQ(seen.waiting, 0u);
}

TEST(JoinMapCounters, TellThoseThatRunFromThoseThatWaitForRoom)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.set_limits({.running = 2});
    for (int key = 0; key != 5; ++key)
        map.spawn(key, wait_forever());
    EXPECT_EQ(map.counters().running, 2u);
    EXPECT_EQ(map.counters().waiting, 3u);
    EXPECT_EQ(map.counters().spawned, 0u); // is not observed
}

TEST(JoinMapObserve, TellsOfEachStartAndEachEndOnce)
{
    asio::io_context context;
    std::vector<task_id> started;
    std::vector<std::pair<task_id, task_end>> ended;
    join_map<int, int> map(context);
    map.observe({.on_start = [&](task_id id) { started.push_back(id); },
                 .on_end = [&](task_id id, task_end how) { ended.emplace_back(id, how); }});
    const task_id first = map.spawn(1, give(1)).id();
    const task_id never = map.spawn(2, give(2)).id();
    map.abort(2);
    const task_id fails = map.spawn(3, []() -> int { throw std::runtime_error("no"); }).id();
    run(context);
    EXPECT_EQ(started, (std::vector{first, fails}));
    ASSERT_EQ(ended.size(), 3u);
    std::ranges::sort(ended);
    EXPECT_EQ(ended[0], std::pair(first, task_end::value));
    EXPECT_EQ(ended[1], std::pair(never, task_end::cancelled));
    EXPECT_EQ(ended[2], std::pair(fails, task_end::exception));
}

TEST(JoinMapObserve, SeesBlockingFunctionsToo)
{
    asio::io_context context;
    blocking_pool pool;
    std::atomic<int> started = 0;
    join_map<int, int> map(context);
    map.observe({.on_start = [&](task_id) { ++started; }});
    map.spawn_blocking_on(pool, 1, [] { return 1; });
    std::optional<int> joined;
    map.async_join_next([&](boost::system::error_code, auto next) { joined = next->result.value(); });
    run(context);
    EXPECT_EQ(joined, 1);
    EXPECT_EQ(started, 1);
    EXPECT_EQ(map.counters().finished, 1u);
}

TEST(JoinSetSnapshot, SeesItsTasks)
{
    asio::io_context context;
    join_set<int> set(context);
    set.observe();
    const task_id id = set.spawn(wait_forever()).id();
    ASSERT_EQ(set.snapshot().size(), 1u);
    EXPECT_EQ(set.snapshot()[0].id, id);
    EXPECT_EQ(set.snapshot()[0].state, task_state::waiting);
}

TEST(TaskTree, PutsAMapBelowTheTaskToWhichItBelongs)
{
    local_set local;
    join_map<std::string, int> outer(local.get_executor());
    outer.observe({.name = "outer map"});
    outer.spawn("parent", [&]() -> task<int> {
        join_set<int> inner(local.get_executor());
        const task_id parent = co_await this_task::id();
        inner.observe({.name = "inner set", .parent = parent});
        inner.spawn(wait_forever(), {.name = "the child"});
        co_await inner.async_join_next();
        co_return 0;
    });
    local.run_until([]() -> task<> {
        co_await this_task::yield();
        co_await this_task::yield();
    });
    const std::string text = task_tree();
    EXPECT_TRUE(has_line(text, "outer map\n  parent: task ")) << text;
    EXPECT_TRUE(has_line(text, "\n    inner set\n      task ")) << text;
    EXPECT_TRUE(has_line(text, "\"the child\", suspended, waits for an abort")) << text;
    outer = join_map<std::string, int>(local.get_executor());
    EXPECT_FALSE(has_line(task_tree(), "outer map"));
}

TEST(TaskTree, ShowsAMapWhoseParentIsNotSeen)
{
    asio::io_context context;
    join_set<int> unseen(context);
    join_set<int> set(context);
    set.observe({.name = "an orphan", .parent = unseen.spawn(wait_forever()).id()});
    EXPECT_TRUE(has_line(task_tree(), "an orphan\n"));
}

} // namespace
} // namespace joinery::test
