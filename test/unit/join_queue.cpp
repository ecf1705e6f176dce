// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Joining in the order of spawning.

#include <joinery/blocking_pool.hpp>
#include <joinery/error.hpp>
#include <joinery/join_queue.hpp>
#include <joinery/local_set.hpp>
#include <joinery/spawn_options.hpp>

#include <allocations.hpp>
#include <ended.hpp>
#include <homes.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

struct JoinQueue : testing::Test {
    using queue_type = join_queue<int>;

    /// What the queue yields without waiting.
    std::vector<int> take()
    {
        std::vector<int> values;
        while (const auto next = queue->try_join_next())
            values.push_back(next->result ? *next->result : -1);
        return values;
    }

    using numbers = std::vector<int>;

    asio::io_context context;
    manual_event event{context.get_executor()};
    std::optional<queue_type> queue{context};
    std::deque<ended_join<queue_type>> ends{3};
};

TEST_F(JoinQueue, YieldsOutcomesInTheOrderOfSpawningWhateverEndsFirst)
{
    const abort_handle slow = queue->spawn(wait(event, 1));
    queue->spawn(give(2));
    queue->spawn(give(3));
    poll(context);
    EXPECT_EQ(take(), numbers{});
    EXPECT_EQ(queue->size(), 3u);
    event.complete();
    poll(context);
    EXPECT_EQ(queue->try_join_next()->id, slow.id());
    queue->spawn(give(4));
    EXPECT_EQ(take(), (numbers{2, 3}));
    run(context);
    EXPECT_EQ(take(), numbers{4});
    EXPECT_TRUE(queue->empty());
}

TEST_F(JoinQueue, YieldsATaskThatIsAbortedOrFailsInItsTurn)
{
    queue->spawn(wait(event, 1));
    const abort_handle second = queue->spawn(wait_forever());
    queue->spawn([] { return throw std::runtime_error("third"), 0; });
    queue->spawn(give(4));
    second.abort();
    poll(context);
    EXPECT_TRUE(second.is_finished());
    EXPECT_EQ(take(), numbers{});
    event.complete();
    run(context);
    EXPECT_EQ(queue->try_join_next()->result.value(), 1);
    EXPECT_EQ(cancelled_as(queue->try_join_next()->result), cancel_reason::aborted);
    EXPECT_TRUE(queue->try_join_next()->result.error().is_exception());
    EXPECT_EQ(take(), numbers{4});
}

TEST_F(JoinQueue, SeveralThatWaitAreServedInOrder)
{
    queue->spawn(wait(event, 1));
    queue->spawn(give(2));
    for (auto& each : ends)
        queue->async_join_next(each.handler());
    poll(context);
    for (auto& each : ends)
        EXPECT_FALSE(each.is_over());
    event.complete();
    run(context);
    EXPECT_EQ(ends[0].joined().result.value(), 1);
    EXPECT_EQ(ends[1].joined().result.value(), 2);
    EXPECT_TRUE(ends[2].is_nothing());
}

TEST_F(JoinQueue, AJoinThatBeginsLaterComesAfterThoseThatWait)
{
    const abort_handle oldest = queue->spawn(wait(event, 1));
    queue->spawn(give(2));
    queue->async_join_next(ends[0].handler());
    poll(context);
    event.complete();
    run_until(context, [&] { return oldest.is_finished(); });
    EXPECT_FALSE(ends[0].is_over());
    queue->async_join_next(ends[1].handler()); // when the other is on its way
    run(context);
    EXPECT_EQ(ends[0].joined().result.value(), 1);
    EXPECT_EQ(ends[1].joined().result.value(), 2);
}

TEST_F(JoinQueue, IsNothingWhenTheQueueIsEmptyButNotWithinTheCall)
{
    queue->async_join_next(ends[0].handler());
    EXPECT_FALSE(ends[0].is_over());
    queue->spawn(give(1)); // meanwhile
    run(context);
    EXPECT_TRUE(ends[0].is_nothing() || ends[0].joined().result.value() == 1);
    EXPECT_EQ(queue->size(), ends[0].is_nothing() ? 1u : 0u);
    take();
    queue->async_join_next(ends[1].handler());
    run(context);
    EXPECT_TRUE(ends[1].is_nothing());
}

TEST_F(JoinQueue, WhoTakesTheLastOneTellsThoseThatWait)
{
    queue->spawn(give(1));
    queue->async_join_next(ends[0].handler());
    queue->async_join_next(ends[1].handler());
    run_until(context, [&] { return queue->try_join_next().has_value(); });
    run(context);
    EXPECT_TRUE(ends[0].is_over() && ends[1].is_over());
    EXPECT_TRUE(queue->empty());
}

TEST_F(JoinQueue, AJoinThatIsCancelledLosesNothing)
{
    asio::cancellation_signal signal;
    queue->spawn(wait(event, 1));
    const abort_handle last = queue->spawn(give(2));
    queue->async_join_next(asio::bind_cancellation_slot(signal.slot(), ends[0].handler()));
    queue->async_join_next(ends[1].handler());
    poll(context);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(ends[0].error(), asio::error::operation_aborted);
    event.complete();
    poll(context);
    EXPECT_EQ(ends[1].joined().result.value(), 1);
    queue->async_join_next(asio::bind_cancellation_slot(signal.slot(), ends[2].handler()));
    signal.emit(asio::cancellation_type::terminal); // with the outcome on its way
    run(context);
    EXPECT_EQ(ends[2].error(), asio::error::operation_aborted);
    EXPECT_EQ(queue->try_join_next()->id, last.id());
}

TEST_F(JoinQueue, AJoinEndsAsAbortedWhenTheQueueIsDestroyed)
{
    queue->spawn(wait_forever());
    queue->async_join_next(ends[0].handler());
    queue->async_join_next(ends[1].handler());
    poll(context);
    queue.reset();
    run(context);
    EXPECT_EQ(ends[0].error(), asio::error::operation_aborted);
    EXPECT_EQ(ends[1].error(), asio::error::operation_aborted);
}

TEST_F(JoinQueue, AShutdownEmptiesIt)
{
    bool is_down = false;
    queue->spawn(wait(event));
    queue->spawn(give(2));
    queue->async_join_next(ends[0].handler());
    poll(context);
    queue->async_shutdown([&](boost::system::error_code) { is_down = true; });
    run(context);
    EXPECT_TRUE(is_down);
    EXPECT_TRUE(ends[0].is_nothing());
    queue->spawn(give(3));
    run(context);
    EXPECT_EQ(take(), numbers{3});
    ended<queue_type::unfinished_tasks> left;
    queue->spawn(wait_forever());
    queue->async_shutdown(std::chrono::nanoseconds(1), std::chrono::hours(1), left.handler());
    run(context);
    EXPECT_TRUE(left.value().listed.empty());
    queue->async_join_next(ends[1].handler());
    run(context);
    EXPECT_TRUE(ends[1].is_nothing());
}

TEST_F(JoinQueue, KeepsTheOrderUnderALimitAndWhateverTheDelay)
{
    queue->set_limits({.running = 1, .waiting = 3});
    queue->spawn(give(1), spawn_options{.delay = std::chrono::milliseconds(1)});
    queue->spawn(wait(event, 2));
    queue->spawn(give(3));
    queue->spawn(give(4));
    try {
        queue->spawn(give(5));
        ADD_FAILURE();
    } catch (const boost::system::system_error& refused) {
        EXPECT_EQ(refused.code(), errc::full);
    }
    EXPECT_EQ(queue->size(), 4u);
    poll(context);
    event.complete();
    run(context);
    EXPECT_EQ(take(), (numbers{1, 2, 3, 4}));
}

TEST_F(JoinQueue, KeepsTheOrderOfAllWaysToSpawn)
{
    asio::io_context elsewhere;
    local_set local;
    blocking_pool pool;
    for (int i = 0; i != 2; ++i) {
        queue->spawn([] { return 1; });
        queue->spawn_on(elsewhere, [] { return 2; }, spawn_options{.delay = std::chrono::nanoseconds(1)});
        queue->spawn_blocking([] { return 3; });
        queue->spawn_blocking_on(pool, [] { return 4; });
        local.run_until([&] { queue->spawn_local([] { return 5; }); });
        queue->spawn_local_on(local, [] { return 6; });
    }
    std::vector<int> values;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (values.size() != 12 && std::chrono::steady_clock::now() < deadline) {
        poll(context);
        poll(elsewhere);
        local.run_until([]() -> task<> { co_await this_task::yield(); });
        const std::vector<int> more = take();
        values.insert(values.end(), more.begin(), more.end());
    }
    EXPECT_EQ(values, (numbers{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6}));
}

TEST_F(JoinQueue, ASpawnThatFailsLeavesNoGap)
{
    if (!allocations_are_ours)
        GTEST_SKIP() << "the sanitizer has its own operator new";
    std::size_t failures = 0;
    for (int value = 0; value != 40;) {
        task<int> work = give(value);
        const std::size_t after = failures % 3;
        try {
            const failing_allocations failing(after);
            queue->spawn(std::move(work));
        } catch (const std::bad_alloc&) {
            ++failures;
            queue->spawn(std::move(work));
        }
        ++value;
    }
    EXPECT_GT(failures, 0u);
    run(context);
    const numbers values = take();
    ASSERT_EQ(values.size(), 40u);
    for (int i = 0; i != 40; ++i)
        EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
}

TEST(JoinQueueOf, ValuesThatCanOnlyBeMovedGivesBackTheirRoom)
{
    journal values;
    asio::io_context context;
    join_queue<tracked> queue(context);
    for (int round = 0; round != 10; ++round) {
        for (int i = 0; i != 100; ++i)
            queue.spawn([&] { return tracked(values); });
        run(context);
        for (int i = 0; i != 100; ++i)
            EXPECT_TRUE(queue.try_join_next()->result.has_value());
        EXPECT_EQ(values.alive(), 0);
    }
    join_queue<void> moved(context);
    moved.spawn([] {});
    join_queue<void> other = std::move(moved);
    run(context);
    EXPECT_TRUE(other.try_join_next());
}

class JoinQueueOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(JoinQueueOnEachHome);

TEST_P(JoinQueueOnEachHome, ATaskJoinsAllInOrder)
{
    join_queue<int> queue(home.executor());
    for (int i = 0; i != 200; ++i) {
        queue.spawn([i]() -> task<int> {
            for (int turn = 0; turn != i % 5; ++turn)
                co_await this_task::yield();
            co_return i;
        });
    }
    const auto joined = home.outcome_of<std::vector<int>>([&]() -> task<std::vector<int>> {
        std::vector<int> values;
        while (auto next = co_await queue.async_join_next())
            values.push_back(next->result.value());
        co_return values;
    });
    ASSERT_EQ(joined->size(), 200u);
    for (std::size_t i = 0; i != 200; ++i)
        EXPECT_EQ((*joined)[i], static_cast<int>(i));
}

} // namespace
