// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/execution/bad_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

using error_code = boost::system::error_code;
using map_type = join_map<int, int>;

/// The kinds of executor that a context may have.
struct kind {
    const char* name;
    std::function<asio::any_io_executor(asio::io_context&)> executor;
};

class JoinMapContextGone : public testing::TestWithParam<kind> {
protected:
    journal frames;

    JoinMapContextGone()
        : context(std::make_unique<asio::io_context>())
        , executor(GetParam().executor(*context))
    {
    }

    /// The context goes, after what the test holds of it.
    void destroy_context()
    {
        executor = nullptr;
        context.reset();
    }

    std::unique_ptr<asio::io_context> context;
    asio::any_io_executor executor;
};

INSTANTIATE_TEST_SUITE_P(, JoinMapContextGone,
                         testing::Values(kind{"IoContext", [](auto& context) { return context.get_executor(); }},
                                         kind{"Strand", [](auto& context) { return asio::make_strand(context); }}),
                         [](const auto& each) { return each.param.name; });

void expect_all_gone(map_type& map, int count)
{
    for (int i = 0; i != count; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined) << i << " of " << count;
        EXPECT_EQ(cancelled_as(joined->result), cancel_reason::executor_gone) << "key " << joined->key;
    }
    EXPECT_TRUE(map.empty());
    EXPECT_FALSE(map.try_join_next());
}

TEST_P(JoinMapContextGone, QueuedTasksEndAndTheirFramesWithThem)
{
    map_type map(executor);
    for (int i = 0; i != 200; ++i)
        map.spawn(i, [held = tracked(frames)]() -> task<int> { co_return 1; });
    destroy_context();
    EXPECT_EQ(frames.alive(), 0);
    expect_all_gone(map, 200);
}

TEST_P(JoinMapContextGone, WaitingTasksEndWhateverTheyWaitFor)
{
    map_type map(executor);
    map_type beside(*context);
    asio::io_context elsewhere;
    map_type abroad(elsewhere);
    beside.spawn(1, wait_forever());
    abroad.spawn(1, wait_forever());
    const auto spawn = [&](int key, auto await) {
        map.spawn(key, [await, this, held = tracked(frames)]() -> task<int> {
            const tracked local(frames);
            asio::steady_timer timer(co_await asio::this_coro::executor, 24h);
            co_await await(timer);
            ADD_FAILURE() << "resumed";
            co_return 0;
        });
    };
    const auto foreign = [](asio::steady_timer& timer) -> asio::awaitable<int> {
        co_await timer.async_wait(asio::use_awaitable);
        co_return 0;
    };
    spawn(1, [](auto&) { return wait_forever(); });
    spawn(2, [](auto&) { return this_task::sleep_for(24h); });
    spawn(3, [](auto& timer) { return timer.async_wait(asio::deferred); });
    spawn(4, [&](auto&) { return beside.async_join_next(); });
    spawn(5, [&](auto&) { return abroad.async_join_next(); });
    spawn(6, foreign);
    map.spawn(7, [&, held = tracked(frames)]() -> asio::awaitable<int> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 24h);
        co_return co_await foreign(timer);
    });
    poll(*context);
    EXPECT_EQ(frames.alive(), 13);
    destroy_context();
    EXPECT_EQ(frames.ended().size(), 13u);
    expect_all_gone(map, 7);
    expect_all_gone(beside, 1);
    EXPECT_EQ(abroad.size(), 1u);
}

TEST_P(JoinMapContextGone, TasksOnTheirWayEnd)
{
    map_type map(executor);
    manual_event event(context->get_executor());
    map.spawn(1, [held = tracked(frames)]() -> task<int> {
        for (;;)
            co_await this_task::yield();
    });
    map.spawn(2, [&, held = tracked(frames)] { return wait(event); });
    map.spawn(3, [held = tracked(frames)] { return wait_forever(); });
    for (int i = 0; i != 10; ++i)
        context->run_one();
    event.complete(); // its handler is in the context's queue
    map.abort(3);     // as the abort is
    destroy_context();
    EXPECT_EQ(frames.ended().size(), 3u);
    EXPECT_EQ(map.size(), 3u);
    while (const auto joined = map.try_join_next()) {
        const cancel_reason reason = joined->key == 3 ? cancel_reason::aborted : cancel_reason::executor_gone;
        EXPECT_EQ(cancelled_as(joined->result), reason);
    }
    EXPECT_TRUE(map.empty());
}

TEST_P(JoinMapContextGone, ATaskThatSleepsForEverAfterAnotherWaitEnds)
{
    map_type map(executor);
    map.spawn(1, [this, held = tracked(frames)]() -> task<int> {
        co_await asio::post(*context, asio::deferred);
        co_await this_task::sleep_forever();
        co_return 0;
    });
    poll(*context);
    EXPECT_EQ(frames.alive(), 1);
    destroy_context();
    EXPECT_EQ(frames.alive(), 0);
    expect_all_gone(map, 1);
}

TEST_P(JoinMapContextGone, ATaskWhoseOperationKnowsNothingOfTheContextEndsWithTheOperation)
{
    map_type map(executor);
    asio::io_context elsewhere;
    manual_event dropped(elsewhere.get_executor(), when_cancelled::goes_on);
    manual_event completed(elsewhere.get_executor(), when_cancelled::goes_on);
    map.spawn(1, [&, held = tracked(frames)] { return wait(dropped); });
    map.spawn(2, [&, held = tracked(frames)] { return wait(completed); });
    poll(*context);
    destroy_context();
    EXPECT_EQ(frames.alive(), 2); // the operations may still use what is in the frames
    EXPECT_EQ(dropped.cancellations(), 1);
    EXPECT_EQ(map.abort_all(), 2u);
    EXPECT_EQ(dropped.cancellations(), 1);
    dropped.drop();
    EXPECT_EQ(frames.alive(), 1);
    completed.complete_here();
    EXPECT_EQ(frames.alive(), 0);
    expect_all_gone(map, 2);
}

TEST_P(JoinMapContextGone, ATaskWhoseOperationKnowsNothingOfTheContextIsCancelled)
{
    map_type map(executor);
    asio::io_context elsewhere;
    manual_event event(elsewhere.get_executor());
    manual_event of_aborted(elsewhere.get_executor());
    map.spawn(1, [&, held = tracked(frames)] { return wait(event); });
    map.spawn(2, [&, held = tracked(frames)] { return wait(of_aborted); });
    poll(*context);
    map.abort(2); // nobody runs the context for that
    destroy_context();
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_EQ(of_aborted.cancellations(), 1);
    EXPECT_EQ(frames.alive(), 0);
    for (int i = 0; i != 2; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined);
        const cancel_reason reason = joined->key == 2 ? cancel_reason::aborted : cancel_reason::executor_gone;
        EXPECT_EQ(cancelled_as(joined->result), reason);
    }
}

TEST_P(JoinMapContextGone, FinishedTasksKeepTheirValues)
{
    map_type map(executor);
    map.spawn(1, give(7));
    poll(*context);
    destroy_context();
    EXPECT_EQ(map.size(), 1u);
    EXPECT_EQ(map.try_join_next()->result.value(), 7);
}

TEST_P(JoinMapContextGone, AJoinThatWaitsOnAnotherContextHears)
{
    map_type map(executor);
    asio::io_context elsewhere;
    map.spawn(1, wait_forever());
    map.spawn(2, give(2));
    std::vector<std::optional<cancel_reason>> heard;
    auto hear = asio::bind_executor(elsewhere, [&](error_code error, std::optional<map_type::joined> joined) {
        EXPECT_FALSE(error);
        EXPECT_EQ(joined.has_value(), heard.size() < 2);
        heard.push_back(joined ? cancelled_as(joined->result) : std::nullopt);
    });
    map.async_join_next(hear);
    map.async_join_next(hear);
    map.async_join_next(hear);
    bool shut_down = false;
    destroy_context();
    EXPECT_TRUE(heard.empty());
    run(elsewhere);
    EXPECT_EQ(heard, (std::vector<std::optional<cancel_reason>>{cancel_reason::executor_gone,
                                                                cancel_reason::executor_gone, std::nullopt}));
    map.async_shutdown(asio::bind_executor(elsewhere, [&](error_code error) { shut_down = !error; }));
    run(elsewhere);
    EXPECT_TRUE(shut_down);
}

TEST_P(JoinMapContextGone, AShutdownThatWaitsOnAnotherContextHears)
{
    map_type map(executor);
    asio::io_context elsewhere;
    map.spawn(1, wait_forever());
    poll(*context);
    bool shut_down = false;
    map.async_shutdown(asio::bind_executor(elsewhere, [&](error_code error) { shut_down = !error; }));
    destroy_context();
    run(elsewhere);
    EXPECT_TRUE(shut_down);
}

TEST_P(JoinMapContextGone, AJoinThatWaitsOnItIsDestroyedAndLosesNoResult)
{
    journal handlers;
    map_type map(executor);
    map.spawn(1, wait_forever());
    const auto never = [held = std::make_shared<tracked>(handlers)](error_code, auto) { ADD_FAILURE() << "called"; };
    map.async_join_next(never);
    poll(*context);
    asio::io_context elsewhere;
    map.spawn_on(elsewhere, 2, give(2));
    map.async_join_next(never);
    run(elsewhere); // its handler is in the context's queue
    EXPECT_EQ(map.size(), 2u);
    destroy_context();
    EXPECT_EQ(map.size(), 2u);
    EXPECT_EQ(map.try_join_next()->result.value(), 2);
    expect_all_gone(map, 1);
}

TEST_P(JoinMapContextGone, AConnectedSlotMayOutliveTheJoin)
{
    asio::cancellation_signal signal;
    map_type map(executor);
    map.spawn(1, wait_forever());
    map.async_join_next(asio::bind_cancellation_slot(
        signal.slot(), asio::bind_executor(executor, [](error_code, auto) { ADD_FAILURE() << "called"; })));
    poll(*context);
    destroy_context();
    signal.emit(asio::cancellation_type::all);
    expect_all_gone(map, 1);
}

TEST_P(JoinMapContextGone, WhatIsSpawnedAfterwardsEndsAtOnce)
{
    map_type map(executor);
    destroy_context();
    bool entered = false;
    const auto work = [&, held = std::make_shared<tracked>(frames)] {
        entered = true;
        return 1;
    };
    const abort_handle first = map.spawn(1, work);
    EXPECT_TRUE(first.is_finished());
    EXPECT_FALSE(first.abort());
    const abort_handle second = map.spawn(1, work);
    EXPECT_TRUE(second.is_finished());
    EXPECT_FALSE(entered);
    expect_all_gone(map, 1);
    asio::io_context elsewhere;
    map.spawn_on(elsewhere, 2, give(2));
    run(elsewhere);
    EXPECT_EQ(map.try_join_next()->result.value(), 2);
}

TEST_P(JoinMapContextGone, OwnersMembersStayUsable)
{
    map_type map(executor);
    for (int i = 0; i != 10; ++i)
        map.spawn(i, wait_forever());
    poll(*context);
    destroy_context();
    EXPECT_EQ(map.abort_all(), 0u);
    EXPECT_EQ(map.abort_matching([](int) { return true; }), 0u);
    EXPECT_EQ(map.keys().size(), 10u);
    EXPECT_TRUE(map.find(3)->is_finished());
    EXPECT_THROW(map.async_join_next([](error_code, auto) {}), asio::execution::bad_executor);
    EXPECT_THROW(map.spawn_blocking(1, [] { return 1; }), asio::execution::bad_executor);
    EXPECT_EQ(map.size(), 10u);
    map_type moved(std::move(map));
    moved.detach_all();
    EXPECT_TRUE(moved.empty());
}

// -- what is destroyed with the context uses the map -------------------------------------------------------------

TEST_P(JoinMapContextGone, AFrameMaySpawnWhenItIsDestroyed)
{
    map_type map(executor);
    int spawned = 0;
    const auto again = [&] { map.spawn(100 + spawned++, wait_forever()); };
    map.spawn(1, hold(tracked(frames, "waits", again)));
    poll(*context);
    map.spawn(2, hold(tracked(frames, "queued", again)));
    destroy_context();
    EXPECT_EQ(spawned, 2);
    expect_all_gone(map, 4);
}

TEST_P(JoinMapContextGone, ATaskMayOwnItsMap)
{
    const auto map = std::make_shared<map_type>(executor);
    map->spawn(1, hold(map));
    poll(*context);
    map->spawn(2, hold(map));
    map->async_join_next([map](error_code, auto) { ADD_FAILURE() << "called"; });
    const std::weak_ptr<map_type> observer = map;
    const_cast<std::shared_ptr<map_type>&>(map).reset();
    EXPECT_FALSE(observer.expired());
    destroy_context();
    EXPECT_TRUE(observer.expired());
}

TEST_P(JoinMapContextGone, TheMapMayGoFirst)
{
    std::optional<map_type> map(executor);
    manual_event event(context->get_executor(), when_cancelled::goes_on);
    error_code error;
    map->spawn(1, hold(tracked(frames)));
    map->spawn(2, [&, held = tracked(frames)] { return wait(event); });
    poll(*context);
    map->spawn(3, hold(tracked(frames)));
    map->async_join_next([&](error_code e, auto) { error = e; });
    map.reset();
    poll(*context);
    EXPECT_EQ(error, asio::error::operation_aborted);
    EXPECT_EQ(frames.alive(), 1);
    event.drop();
    destroy_context();
    EXPECT_EQ(frames.alive(), 0);
}

// -- executors of other kinds ------------------------------------------------------------------------------------

TEST(JoinMapExecutorGone, TasksOnAThreadPoolThatIsStoppedAndDestroyedEnd)
{
    journal frames;
    std::optional<asio::thread_pool> pool(1);
    map_type map(*pool);
    pool->stop();
    pool->join();
    for (int i = 0; i != 10; ++i)
        map.spawn(i, hold(tracked(frames)));
    pool.reset();
    EXPECT_EQ(frames.alive(), 0);
    expect_all_gone(map, 10);
}

TEST(JoinMapExecutorGone, TasksOfALocalSetThatIsDestroyedEnd)
{
    journal frames;
    asio::io_context context;
    map_type map(context);
    {
        local_set local;
        map.spawn_local_on(local, 1, hold(tracked(frames)));
        local.run();
        map.spawn_local_on(local, 2, hold(tracked(frames)));
    }
    EXPECT_EQ(frames.alive(), 0);
    block_on([&] { map.spawn_local(3, hold(tracked(frames))); });
    EXPECT_EQ(frames.alive(), 0);
    expect_all_gone(map, 3);
}

} // namespace
