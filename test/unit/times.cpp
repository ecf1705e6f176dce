// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Deadlines and delays.

#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>

#include <ended.hpp>
#include <homes.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

using timed_map = join_map<int, int>;

spawn_options due_in(std::chrono::nanoseconds time)
{
    return {.deadline = std::chrono::steady_clock::now() + time};
}

struct TimesBase : testing::Test {
    auto enter(int value)
    {
        return [this, value, here = tracked(frames)] {
            entered.push_back(value);
            return value;
        };
    }

    std::optional<cancel_reason> join_cancelled()
    {
        const auto next = map->try_join_next();
        return next ? cancelled_as(next->result) : std::nullopt;
    }

    journal frames;
    std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>();
    std::optional<timed_map> map{*context};
    std::vector<int> entered;
};

// -- deadlines -----------------------------------------------------------------------------------------------

struct Deadline : TimesBase {};

TEST_F(Deadline, EndsATaskThatHasNotEndedAsTimedOut)
{
    map->spawn(1, hold(tracked(frames)), due_in(-1h));
    map->spawn(2, hold(tracked(frames)), due_in(1ns));
    map->spawn(3, give(3), due_in(1h));
    run(*context);
    EXPECT_EQ(frames.alive(), 0);
    int timed_out = 0;
    while (const auto next = map->try_join_next()) {
        EXPECT_EQ(next->key == 3, next->result.has_value());
        timed_out += cancelled_as(next->result) == cancel_reason::timed_out;
    }
    EXPECT_EQ(timed_out, 2);
}

TEST_F(Deadline, KeepsTheContextAtWorkOnlyUntilTheTaskHasEnded)
{
    manual_event event(context->get_executor());
    map->spawn(1, wait(event, 1), due_in(1h));
    poll(*context);
    EXPECT_FALSE(context->stopped());
    event.complete();
    run(*context);
    EXPECT_EQ(map->try_join_next()->result.value(), 1);
    map->spawn(2, wait(event), due_in(1h));
    poll(*context);
    map->abort(2);
    run(*context);
    EXPECT_EQ(join_cancelled(), cancel_reason::aborted);
    map->spawn(3, wait(event), due_in(1h));
    map->spawn(3, give(3)); // in its place
    run(*context);
    map->spawn(4, wait(event), due_in(1h));
    poll(*context);
    map.reset();
    run(*context);
}

TEST_F(Deadline, PassesWhileTheTaskWaitsForRoom)
{
    map->set_limits({.running = 0});
    map->spawn(1, enter(1), due_in(-1h));
    map->spawn(2, enter(2), due_in(1ns));
    run(*context);
    EXPECT_EQ(join_cancelled(), cancel_reason::timed_out);
    EXPECT_EQ(join_cancelled(), cancel_reason::timed_out);
    map->set_limits({});
    run(*context);
    EXPECT_TRUE(entered.empty());
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(Deadline, PassesWhileTheTaskWaitsForAnother)
{
    manual_event late(context->get_executor(), when_cancelled::goes_on);
    map->spawn(1, wait(late, 1));
    poll(*context);
    spawn_options options = due_in(1ns);
    options.conflict = on_conflict::queue_latest;
    map->spawn(1, enter(2), options);
    run_until(*context, [&] { return frames.alive() == 0; });
    EXPECT_EQ(join_cancelled(), cancel_reason::timed_out);
    late.complete();
    run(*context);
    EXPECT_EQ(map->try_join_next()->result.value(), 1);
    EXPECT_TRUE(entered.empty());
}

TEST_F(Deadline, OfATaskThatWasDetachedEndsItAllTheSame)
{
    const spawned one = map->spawn(1, hold(tracked(frames)), due_in(1ns));
    map->detach_all();
    run(*context);
    EXPECT_TRUE(one.handle.is_finished());
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(Deadline, ComesTooLateForATaskThatWasAborted)
{
    map->spawn(1, enter(1), due_in(1h));
    map->abort(1);
    run(*context);
    EXPECT_EQ(join_cancelled(), cancel_reason::aborted);
}

TEST_F(Deadline, ThatHasPassedAtTheSpawnEndsTheTaskUnentered)
{
    map->spawn(1, enter(1), due_in(-1h));
    run(*context);
    EXPECT_EQ(join_cancelled(), cancel_reason::timed_out);
    EXPECT_TRUE(entered.empty());
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(Deadline, StopsTheTokenOfAFunctionThatRunsAndItsValueCounts)
{
    blocking_pool pool;
    ended_join<timed_map> end;
    map->spawn_blocking_on(
        pool, 1,
        [](std::stop_token token) {
            std::binary_semaphore asked(0);
            const std::stop_callback release(token, [&] { asked.release(); });
            asked.acquire();
            return 1;
        },
        due_in(1ms));
    map->async_join_next(end.handler());
    run(*context);
    EXPECT_TRUE(end.joined().result.has_value() || cancelled_as(end.joined().result) == cancel_reason::timed_out);
}

TEST_F(Deadline, EndsWithItsContext)
{
    map->spawn(1, hold(tracked(frames)), due_in(1h));
    map->spawn(2, hold(tracked(frames)), due_in(1h)); // not even entered
    poll(*context);
    context.reset();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(join_cancelled(), cancel_reason::executor_gone);
    EXPECT_EQ(join_cancelled(), cancel_reason::executor_gone);
    map->spawn(1, enter(1), due_in(1h)); // it has known timers before
    EXPECT_EQ(join_cancelled(), cancel_reason::executor_gone);
}

TEST_F(Deadline, IsThatOfATaskOnAnotherExecutorToo)
{
    asio::thread_pool pool(1);
    ended_join<timed_map> end;
    map->spawn_on(pool, 1, hold(tracked(frames)), due_in(1ns));
    map->async_join_next(end.handler());
    run(*context);
    EXPECT_EQ(cancelled_as(end.joined().result), cancel_reason::timed_out);
}

// -- delays --------------------------------------------------------------------------------------------------

struct Delay : TimesBase {};

TEST_F(Delay, HoldsATaskBackForSoLong)
{
    const spawned later = map->spawn(1, enter(1), {.delay = 1h});
    EXPECT_EQ(later.outcome, spawn_outcome::queued);
    EXPECT_EQ(map->spawn(2, enter(2), {.delay = 1ns}).outcome, spawn_outcome::queued);
    EXPECT_EQ(map->spawn(3, enter(3), {.delay = -1h}).outcome, spawn_outcome::started);
    EXPECT_TRUE(map->contains(1));
    EXPECT_EQ(map->size(), 3u);
    run_until(*context, [&] { return entered.size() == 2; });
    poll(*context);
    EXPECT_FALSE(context->stopped());
    EXPECT_EQ(entered.size(), 2u);
    later.handle.abort();
    run(*context); // without the hour
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(Delay, WithReplacementIsDebouncing)
{
    for (int i = 0; i != 5; ++i)
        map->spawn(1, enter(i), {.delay = 1h});
    EXPECT_EQ(map->size(), 1u);
    poll(*context);
    EXPECT_EQ(frames.alive(), 1);
    map->spawn(1, enter(5), {.delay = 1ns});
    run(*context); // without the hours
    EXPECT_EQ(entered, std::vector{5});
    EXPECT_EQ(map->try_join_next()->result.value(), 5);
    EXPECT_FALSE(map->try_join_next());
}

TEST_F(Delay, OfATaskThatIsAbortedEndsAtOnce)
{
    map->spawn(1, enter(1), {.delay = 1h});
    map->abort(1);
    run(*context);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(join_cancelled(), cancel_reason::aborted);
    EXPECT_TRUE(entered.empty());
}

TEST_F(Delay, MayBeLongerThanTheDeadline)
{
    spawn_options options = due_in(1ns);
    options.delay = 1h;
    map->spawn(1, enter(1), options);
    run(*context);
    EXPECT_EQ(join_cancelled(), cancel_reason::timed_out);
    EXPECT_TRUE(entered.empty());
}

TEST_F(Delay, IsFollowedByTheWaitForRoom)
{
    map->set_limits({.running = 1});
    manual_event event(context->get_executor());
    map->spawn(1, wait(event));
    map->spawn(2, enter(2), {.delay = 1ns});
    map->spawn(3, enter(3));
    run(*context);
    EXPECT_TRUE(entered.empty());
    event.complete();
    run(*context);
    EXPECT_EQ(entered, (std::vector{3, 2}));
}

TEST_F(Delay, AndTheEndOfAnotherAreBothWaitedFor)
{
    manual_event late(context->get_executor(), when_cancelled::goes_on);
    map->spawn(1, wait(late));
    poll(*context);
    map->set_limits({.running = 1});
    map->spawn(1, enter(1), {.conflict = on_conflict::replace_after_exit, .delay = 1ns});
    run(*context);
    EXPECT_TRUE(entered.empty());
    late.complete();
    run(*context);
    EXPECT_EQ(entered, std::vector{1});
    map->spawn(1, wait(late));
    poll(*context);
    const spawned next = map->spawn(1, enter(2), {.conflict = on_conflict::replace_after_exit, .delay = 1h});
    late.complete();
    poll(*context);
    EXPECT_EQ(entered, std::vector{1});
    EXPECT_FALSE(next.handle.is_finished());
    map->abort_all();
    run(*context);
}

TEST_F(Delay, EndsWithItsContextOrItsMap)
{
    map->spawn(1, enter(1), {.delay = 1h});
    timed_map other(*context);
    other.spawn(1, enter(2), {.delay = 1h});
    poll(*context);
    map.reset();
    poll(*context);
    EXPECT_EQ(frames.alive(), 1);
    context.reset();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(cancelled_as(other.try_join_next()->result), cancel_reason::executor_gone);
    other.spawn(1, enter(3), {.delay = 1h});
    EXPECT_EQ(cancelled_as(other.try_join_next()->result), cancel_reason::executor_gone);
    EXPECT_TRUE(other.empty() && entered.empty());
}

TEST_F(Delay, AndDeadlineOnAContextThatIsGoneEndTheTaskAsAnyOther)
{
    context.reset();
    map->spawn(1, enter(1), {.delay = 1h});
    EXPECT_EQ(join_cancelled(), cancel_reason::executor_gone);
    map->spawn(1, enter(1), due_in(1h));
    EXPECT_EQ(join_cancelled(), cancel_reason::executor_gone);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_TRUE(map->empty());
}

TEST_F(Delay, OfATaskThatWasDetachedIsWaitedForAndThenItRuns)
{
    map->spawn(1, enter(1), {.delay = 1ns});
    map->spawn(2, enter(2), {.delay = 1ns});
    EXPECT_TRUE(map->detach(1));
    map->detach_all();
    run(*context);
    EXPECT_EQ(entered.size(), 2u);
    EXPECT_FALSE(map->try_join_next());
    map->spawn(3, enter(3), {.delay = 1ns});
    map->detach_all();
    map.reset(); // a task that is detached outlives it
    run(*context);
    EXPECT_EQ(entered.size(), 3u);
    EXPECT_EQ(frames.alive(), 0);
}

class TimesOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(TimesOnEachHome);

TEST_P(TimesOnEachHome, TasksStartAfterTheirDelayAndEndAtTheirDeadline)
{
    join_set<int> set(home.executor());
    const auto start = std::chrono::steady_clock::now();
    set.spawn(
        [start]() -> task<int> {
            EXPECT_GE(std::chrono::steady_clock::now(), start + 1ms);
            co_await this_task::sleep_forever();
            co_return 0;
        },
        {.delay = 1ms, .deadline = start + 2ms});
    EXPECT_EQ(cancelled_as(home.next_of(set)), cancel_reason::timed_out);
    set.spawn([] { return wait_forever(); }, due_in(-1h));
    EXPECT_EQ(cancelled_as(home.next_of(set)), cancel_reason::timed_out);
    set.spawn(give(4), {.delay = 1ns, .deadline = start + 1h});
    EXPECT_EQ(home.next_of(set).value(), 4);
}

} // namespace
