// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Tasks on executors that are not known to be serial: what each pays for its serial order, and what that order promises.

#include <joinery/detail/block_cache.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <allocations.hpp>
#include <counting_executor.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

class TaskStrand : public testing::Test {
protected:
    /// The executor of a task that has waited once, and that waits for an event to end.
    asio::any_io_executor executor_of_a_task(int_map& map, manual_event& event)
    {
        asio::any_io_executor found;
        map.spawn(1000, [&]() -> task<int> {
            co_await asio::post(context, asio::deferred);
            found = co_await asio::this_coro::executor;
            co_await event.async_wait();
            co_return 0;
        });
        poll(context);
        return found;
    }

    journal frames;
    asio::io_context context;
    executor_record record;
};

// -- what it costs -----------------------------------------------------------------------------------------------

TEST_F(TaskStrand, ATaskThatWaitsForItsAbortAloneNeedsNoMoreThanItsFrame)
{
    if (!allocations_are_ours)
        GTEST_SKIP() << "ThreadSanitizer has its own operator new";
    int_map map(context.get_executor(), 100);
    map.spawn(0, wait_forever());
    poll(context);
    detail::block_cache::clear();
    const std::size_t before = allocation_count();
    for (int i = 1; i != 50; ++i)
        map.spawn(i, wait_forever());
    poll(context);
    EXPECT_LE(allocation_count() - before, 49u + 3u) << "the executor's own";
}

TEST_F(TaskStrand, AbortsOfManyTasksThatWaitCostFewPosts)
{
    int_map map(concurrent_counting_executor(context, record));
    int_map inner(context);
    inner.spawn(0, wait_forever());
    for (int i = 0; i != 1000; ++i) {
        map.spawn(i, [i, &inner]() -> task<int> {
            switch (i % 3) {
            case 0:
                co_await this_task::sleep_forever();
                break;
            case 1:
                co_await this_task::sleep_for(24h);
                break;
            default:
                co_await inner.async_join_next();
            }
            co_return 0;
        });
    }
    poll(context);
    const std::size_t before = record.posts;
    EXPECT_EQ(map.abort_all(), 1000u);
    EXPECT_EQ(record.posts - before, 1u);
    poll(context);
    // A timer that is cancelled hands its handler to the task's executor, which is not this one.
    EXPECT_LE(record.posts - before, 20u);
    for (int i = 0; i != 1000; ++i)
        ASSERT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
    EXPECT_TRUE(map.empty());
}

TEST_F(TaskStrand, ATaskMeetsItsFirstOperationInTheTurnInWhichItStarts)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    map.spawn(1, wait(event));
    context.run_one();
    EXPECT_TRUE(event.is_waiting());
    EXPECT_EQ(record.posts, 1u);
}

// -- outstanding work ----------------------------------------------------------------------------------------------

TEST_F(TaskStrand, ATaskThatWaitsForAnOperationElsewhereIsOutstandingWork)
{
    asio::io_context elsewhere;
    asio::steady_timer timer(elsewhere, asio::steady_timer::time_point::min());
    int_map map(context);
    map.spawn(1, [&]() -> task<int> {
        co_await timer.async_wait(asio::deferred);
        co_return 1;
    });
    poll(context);
    EXPECT_FALSE(context.stopped());
    poll(elsewhere);
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 1);
}

TEST_F(TaskStrand, ATaskThatJoinsTasksElsewhereIsOutstandingWork)
{
    asio::io_context elsewhere;
    int_map abroad(elsewhere);
    abroad.spawn(1, give(2));
    int_map map(context);
    map.spawn(1, [&]() -> task<int> { co_return (co_await abroad.async_join_next())->result.value(); });
    poll(context);
    EXPECT_FALSE(context.stopped());
    poll(elsewhere);
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 2);
}

TEST_F(TaskStrand, WhatRunsOnATasksExecutorIsOutstandingWork)
{
    asio::io_context elsewhere;
    asio::steady_timer timer(elsewhere, asio::steady_timer::time_point::min());
    int_map map(context);
    manual_event event(context.get_executor());
    bool over = false;
    const asio::any_io_executor own = executor_of_a_task(map, event);
    asio::co_spawn(
        own,
        [&]() -> asio::awaitable<void> {
            co_await timer.async_wait(asio::use_awaitable);
            over = true;
        },
        asio::detached);
    poll(context);
    EXPECT_FALSE(context.stopped());
    poll(elsewhere);
    run(context);
    EXPECT_TRUE(over);
    {
        const auto guard = asio::make_work_guard(own);
        poll(context);
        EXPECT_FALSE(context.stopped());
    }
    poll(context);
    EXPECT_TRUE(context.stopped());
}

TEST_F(TaskStrand, WhatBeginsWhileAnotherBeginsIsOutstandingWorkAtOnce)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    const asio::any_io_executor own = executor_of_a_task(map, event);
    poll(context);
    EXPECT_TRUE(context.stopped());
    int met = 0;
    record.before_work = [&] {
        if (++met != 1)
            return;
        const auto second = asio::make_work_guard(own); // as another thread would
        poll(context);
        EXPECT_FALSE(context.stopped());
    };
    const auto first = asio::make_work_guard(own);
    EXPECT_NE(met, 0);
    poll(context);
    EXPECT_FALSE(context.stopped());
}

TEST_F(TaskStrand, ATaskThatWaitsForItsAbortAloneIsNone)
{
    int_map map(context);
    map.spawn(1, wait_forever());
    map.spawn(2, []() -> task<int> {
        co_await this_task::sleep_for(1ns);
        co_await this_task::sleep_forever();
        co_return 0;
    });
    run(context);
    EXPECT_EQ(map.abort_all(), 2u);
    run(context);
    EXPECT_TRUE(map.try_join_next() && map.try_join_next());
}

TEST_F(TaskStrand, EndsATaskThatSleepsForEverWithTheContext)
{
    int_map map(context);
    std::optional<asio::io_context> other(std::in_place);
    const auto held = std::make_shared<int>();
    for (int i = 0; i != 3; ++i) {
        map.spawn_on(*other, i, [held, i]() -> task<int> {
            if (i != 0)
                co_await this_task::sleep_for(1ns);
            co_await this_task::sleep_forever();
            co_return 0;
        });
    }
    run(*other);
    EXPECT_EQ(held.use_count(), 4);
    map.abort(2);
    other.reset();
    EXPECT_EQ(held.use_count(), 1);
    for (int i = 0; i != 3; ++i) {
        const auto done = map.try_join_next();
        ASSERT_TRUE(done && done->result.has_error());
        EXPECT_EQ(done->result.error().reason(),
                  done->key == 2 ? cancel_reason::aborted : cancel_reason::executor_gone);
    }
}

// -- its executor --------------------------------------------------------------------------------------------------

TEST_F(TaskStrand, CallsWhatIsPostedInOrderAndWhatIsDispatchedAtOnceWhenInside)
{
    int_map map(context);
    manual_event event(context.get_executor());
    const asio::any_io_executor own = executor_of_a_task(map, event);
    std::string order;
    asio::post(own, [&] {
        asio::post(own, [&] { order += "d"; });
        asio::dispatch(own, [&] { order += "a"; });
        order += "b";
    });
    asio::post(own, [&] { order += "c"; });
    EXPECT_EQ(order, "");
    poll(context);
    EXPECT_EQ(order, "abcd");
}

TEST_F(TaskStrand, CallsAtOnceWhatIsDispatchedOnAThreadOfItsContext)
{
    int_map map(context);
    manual_event event(context.get_executor());
    const asio::any_io_executor own = executor_of_a_task(map, event);
    std::string order;
    asio::dispatch(own, [&] { order += "0"; });
    EXPECT_EQ(order, "") << "this is no thread of the context";
    asio::post(context, [&] {
        EXPECT_EQ(order, "0");
        asio::dispatch(own, [&] { order += "a"; });
        order += "b";
        asio::post(own, [&] { order += "d"; });
        asio::dispatch(own, [&] { order += "e"; }); // something is on its way already
        order += "c";
    });
    poll(context);
    EXPECT_EQ(order, "0abcde");
}

TEST_F(TaskStrand, AFunctionThatThrowsLeavesTheOthersAndTheTask)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    const asio::any_io_executor own = executor_of_a_task(map, event);
    int called = 0;
    asio::post(own, [] { throw std::runtime_error("mine"); });
    asio::post(own, [&] { ++called; });
    event.complete();
    EXPECT_THROW(
        {
            poll(context);
            poll(context);
        },
        std::runtime_error);
    run(context);
    EXPECT_EQ(called, 1);
    EXPECT_EQ(map.try_join_next()->result.value(), 0);
}

TEST_F(TaskStrand, AFunctionThatIsCalledAtOnceMayThrow)
{
    int_map map(context);
    manual_event event(context.get_executor());
    const asio::any_io_executor own = executor_of_a_task(map, event);
    asio::post(context, [own] { asio::dispatch(own, [] { throw std::runtime_error("mine"); }); });
    EXPECT_THROW(poll(context), std::runtime_error);
    event.complete();
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 0);
}

TEST_F(TaskStrand, ItsExecutorMayOutliveTheTaskAndTheContext)
{
    auto own_context = std::make_unique<asio::io_context>();
    asio::any_io_executor own;
    {
        int_map map(*own_context);
        map.spawn(1, [&own, &own_context]() -> task<int> {
            co_await asio::post(*own_context, asio::deferred);
            own = co_await asio::this_coro::executor;
            co_return 1;
        });
        run(*own_context);
    }
    bool called = false;
    asio::post(own, [&] { called = true; });
    run(*own_context);
    EXPECT_TRUE(called) << "the task and the map have gone, and the executor has not";
    asio::post(own, [held = std::make_shared<tracked>(frames)] { FAIL() << "called"; });
    const auto counted = asio::make_work_guard(own);
    own_context.reset();
    EXPECT_EQ(frames.alive(), 0) << "on its way when the context went";
    asio::post(own, [held = std::make_shared<tracked>(frames)] { FAIL() << "called"; });
    asio::dispatch(own, [held = std::make_shared<tracked>(frames)] { FAIL() << "called"; });
    EXPECT_EQ(frames.begun(), 3);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(TaskStrand, TasksOnATasksExecutorShareItsOrder)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    const asio::any_io_executor own = executor_of_a_task(map, event);
    int_map inner(own);
    bool computes = false;
    inner.spawn(1, [&] {
        computes = true;
        context.poll(); // as another thread would
        computes = false;
        return 1;
    });
    inner.spawn(2, [&]() -> task<int> {
        EXPECT_FALSE(computes);
        co_await this_task::sleep_for(1ns);
        EXPECT_FALSE(computes);
        co_return 2;
    });
    event.complete();
    run(context);
    EXPECT_EQ(inner.try_join_next()->key, 1);
    EXPECT_EQ(inner.try_join_next()->key, 2);
    EXPECT_EQ(map.try_join_next()->key, 1000);
}

TEST_F(TaskStrand, ATaskThatComputesHoldsBackNoOther)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    manual_event other(context.get_executor());
    map.spawn(2, wait(other, 2));
    map.spawn(1, [&]() -> task<int> {
        co_await event.async_wait();
        context.poll(); // as another thread would
        EXPECT_TRUE(map.try_join_next()) << "the other has not ended";
        co_return 1;
    });
    poll(context);
    event.complete();
    other.complete();
    run(context);
    EXPECT_EQ(map.try_join_next()->key, 1);
}

TEST_F(TaskStrand, TasksThatWaitForAnotherContextEndThereWhenTheirOwnIsGone)
{
    auto own_context = std::make_unique<asio::io_context>();
    asio::steady_timer first(context, 24h);
    asio::steady_timer second(context, 24h);
    int_map map(*own_context);
    map.spawn(1, [&, held = tracked(frames)]() -> task<int> {
        co_await first.async_wait(asio::deferred);
        co_return 1;
    });
    map.spawn(2, [&, held = tracked(frames)]() -> asio::awaitable<int> {
        co_await second.async_wait(asio::use_awaitable);
        co_return 2;
    });
    poll(*own_context);
    own_context.reset();
    EXPECT_EQ(frames.alive(), 2);
    run(context);
    EXPECT_EQ(frames.alive(), 0);
    for (int i = 0; i != 2; ++i)
        EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
}

TEST_F(TaskStrand, ATaskThatWaitsForAnOlderServiceOfItsContextEndsWithTheContext)
{
    auto own_context = std::make_unique<asio::io_context>();
    auto timer = std::make_unique<asio::steady_timer>(*own_context, 24h);
    int_map map(*own_context);
    map.spawn(1, [owned = std::move(timer), held = tracked(frames)]() -> task<int> {
        co_await owned->async_wait(asio::deferred);
        co_return 1;
    });
    poll(*own_context);
    own_context.reset();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
}

// -- executors that refuse a turn, or drop it ----------------------------------------------------------------------

TEST_F(TaskStrand, AbortsThatTheExecutorRefusesAreHeardAtTheNextTurn)
{
    int_map map(concurrent_counting_executor(context, record));
    int_map inner(context);
    inner.spawn(0, wait_forever());
    map.spawn(1, hold(tracked(frames)));
    map.spawn(2, [&inner, held = tracked(frames)]() -> task<int> {
        co_await inner.async_join_next();
        co_return 0;
    });
    poll(context);
    record.refuses = true;
    EXPECT_EQ(map.abort_all(), 2u);
    poll(context);
    EXPECT_EQ(frames.alive(), 2);
    record.refuses = false;
    map.spawn(3, give(3));
    poll(context);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(map.size(), 3u);
}

TEST_F(TaskStrand, ATaskThatCannotGoOnEndsAndTheMapStaysUsable)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    map.spawn(1, [&, held = tracked(frames)] { return wait(event); });
    poll(context);
    record.refuses = true;
    event.complete_here();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
    record.refuses = false;
    map.spawn(2, give(2));
    poll(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 2);
}

TEST_F(TaskStrand, ATaskThatIsAbortedAndWhoseOperationIsLostEndsWhenATurnIsRefused)
{
    int_map map(concurrent_counting_executor(context, record));
    manual_event event(context.get_executor());
    map.spawn(1, [&, held = tracked(frames)] { return wait(event); });
    poll(context);
    record.refuses = true;
    map.abort(1);     // waits for the next turn
    event.complete(); // and so does the handler
    EXPECT_EQ(frames.alive(), 1);
    EXPECT_THROW(map.spawn(3, give(3)), executor_refused);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(TaskStrand, TasksInEveryStateEndWhenATurnIsDropped)
{
    int_map map(concurrent_counting_executor(context, record));
    int_map inner(context);
    inner.spawn(0, wait_forever());
    map.spawn(1, hold(tracked(frames)));
    map.spawn(2, [&inner, held = tracked(frames)]() -> task<int> {
        co_await inner.async_join_next();
        co_return 0;
    });
    poll(context);
    record.drops = true;
    map.spawn(3, hold(tracked(frames)));
    EXPECT_EQ(frames.begun(), 3);
    EXPECT_EQ(frames.alive(), 0);
    for (int i = 0; i != 3; ++i)
        EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
    EXPECT_EQ(inner.size(), 1u) << "the join lost nothing";
    inner.abort_all();
    poll(context);
    EXPECT_TRUE(inner.try_join_next());
}

} // namespace
} // namespace joinery::test
