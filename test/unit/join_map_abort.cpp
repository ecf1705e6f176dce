// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>

#include <counting_executor.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

using error_code = boost::system::error_code;
const error_code operation_aborted = asio::error::operation_aborted;

// -- a task in each of its states --------------------------------------------------------------------------

/// Where the map's tasks run: the promises are the same everywhere.
struct place {
    const char* name;
    std::function<asio::any_io_executor(asio::io_context&)> executor;
};

class JoinMapAbort : public testing::TestWithParam<place> {
protected:
    asio::io_context context;
    asio::any_io_executor executor = GetParam().executor(context);
    join_map<int, int> map{executor};

    /// Aborts the task that is there, and expects it to end as aborted, when the executor comes to it.
    void expect_end_by_abort(const abort_handle& handle)
    {
        EXPECT_TRUE(handle.abort());
        run(context);
        EXPECT_TRUE(handle.is_finished());
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_EQ(joined->id, handle.id());
        EXPECT_EQ(cancelled_as(joined->result), cancel_reason::aborted);
        EXPECT_THROW(joined->result.value(), task_cancelled);
    }
};

INSTANTIATE_TEST_SUITE_P(, JoinMapAbort,
                         testing::Values(place{"IoContext", [](auto& context) { return context.get_executor(); }},
                                         place{"Strand", [](auto& context) { return asio::make_strand(context); }}),
                         [](const auto& each) { return each.param.name; });

TEST_P(JoinMapAbort, ATaskThatHasNotStartedIsNeverEntered)
{
    journal captured;
    bool entered = false;
    const abort_handle handle = map.spawn(1, [&, held = tracked(captured)]() -> task<int> {
        entered = true;
        co_return 1;
    });
    expect_end_by_abort(handle);
    EXPECT_FALSE(entered);
    EXPECT_EQ(captured.alive(), 0);
}

TEST_P(JoinMapAbort, AForeignWorkThatHasNotStartedIsNeverEntered)
{
    bool entered = false;
    const abort_handle handle = map.spawn(1, [&]() -> asio::awaitable<int> {
        entered = true;
        co_return 1;
    });
    expect_end_by_abort(handle);
    manual_event event(executor);
    expect_end_by_abort(map.spawn(2, [&] { return wait(event); }));
    EXPECT_EQ(event.started(), 0);
    EXPECT_FALSE(entered);
}

task<int> innermost(journal& locals, manual_event& event)
{
    const tracked local(locals, "innermost");
    try {
        const tracked inside(locals, "inside of the try block");
        co_await event.async_wait();
        ADD_FAILURE() << "resumed";
    } catch (...) {
        ADD_FAILURE() << "an exception for the abort";
        throw;
    }
    co_return 1;
}

task<int> middle(tracked, journal& locals, manual_event& event)
{
    const tracked local(locals, "middle");
    try {
        const int value = co_await innermost(locals, event);
        co_return value;
    } catch (...) {
        ADD_FAILURE() << "an exception for the abort";
        co_return 2;
    }
}

task<int> outermost(journal& locals, manual_event& event)
{
    const tracked local(locals, "outermost");
    co_return co_await middle(tracked(locals, "parameter of middle"), locals, event);
}

const std::vector<std::string> innermost_first = {"inside of the try block", "innermost", "middle",
                                                  "parameter of middle", "outermost"};

TEST_P(JoinMapAbort, ASuspendedTaskHasItsOperationCancelledAndIsDestroyedInnermostFirst)
{
    journal locals;
    manual_event event(executor);
    const abort_handle handle = map.spawn(1, outermost(locals, event));
    poll(context);
    EXPECT_TRUE(event.is_waiting());
    expect_end_by_abort(handle);
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_EQ(event.cancellation(), asio::cancellation_type::terminal);
    EXPECT_EQ(locals.ended(), innermost_first);
}

TEST_P(JoinMapAbort, TheFrameLivesUntilTheCancelledOperationHasEnded)
{
    journal locals;
    manual_event event(executor, when_cancelled::goes_on);
    const abort_handle handle = map.spawn(1, outermost(locals, event));
    poll(context);
    EXPECT_TRUE(handle.abort());
    poll(context);
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_TRUE(event.is_waiting());
    EXPECT_FALSE(handle.is_finished());
    EXPECT_TRUE(locals.ended().empty());
    EXPECT_FALSE(map.try_join_next());
    event.complete(); // even with success
    poll(context);
    EXPECT_TRUE(handle.is_finished());
    EXPECT_EQ(locals.ended(), innermost_first);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
}

TEST_P(JoinMapAbort, AnOperationThatHadEndedDoesNotResumeTheTask)
{
    journal locals;
    manual_event event(executor);
    const abort_handle handle = map.spawn(1, outermost(locals, event));
    poll(context);
    event.complete(); // on its way
    expect_end_by_abort(handle);
    EXPECT_EQ(locals.ended(), innermost_first);
}

TEST_P(JoinMapAbort, IsImmediate)
{
    journal frames;
    const abort_handle handle = map.spawn(1, hold(tracked(frames)));
    poll(context);
    EXPECT_TRUE(handle.abort());
    EXPECT_EQ(frames.alive(), 1); // nothing of the task runs or ends within the call
    EXPECT_FALSE(handle.is_finished());
    poll(context);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_P(JoinMapAbort, ARunningTaskEndsAtItsNextAsynchronousAwait)
{
    journal locals;
    manual_event event(executor);
    abort_handle self;
    std::vector<std::string> passed;
    self = map.spawn(1, [&]() -> task<int> {
        const tracked local(locals, "local");
        EXPECT_FALSE(co_await this_task::abort_requested());
        EXPECT_TRUE(self.abort());
        EXPECT_FALSE(self.is_finished());
        EXPECT_TRUE(co_await this_task::abort_requested());
        EXPECT_EQ(co_await this_task::id(), self.id());
        co_await asio::this_coro::executor;
        passed.push_back("what does not wait");
        const int value = co_await give(1);
        passed.push_back("a task that does not wait");
        try {
            co_await event.async_wait();
        } catch (...) {
            passed.push_back("an exception");
        }
        passed.push_back("an operation");
        co_return value;
    });
    run(context);
    EXPECT_EQ(passed, (std::vector<std::string>{"what does not wait", "a task that does not wait"}));
    EXPECT_EQ(event.started(), 0);
    EXPECT_EQ(locals.ended(), (std::vector<std::string>{"local"}));
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
}

TEST_P(JoinMapAbort, ARunningTaskEndsAtAYieldAndAtASleep)
{
    abort_handle self;
    bool passed = false;
    const auto abort_and = [&](auto what) -> task<int> {
        self.abort();
        co_await what;
        passed = true;
        co_return 0;
    };
    const auto spawn = [&](auto what) { self = map.spawn(1, [=, &abort_and] { return abort_and(what); }); };
    for (const std::function<void()>& start : {std::function<void()>([&] { spawn(this_task::yield()); }),
                                               std::function<void()>([&] { spawn(this_task::sleep_for(0s)); }),
                                               std::function<void()>([&] { spawn(this_task::sleep_forever()); })}) {
        start();
        run(context);
        EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
    }
    EXPECT_FALSE(passed);
}

TEST_P(JoinMapAbort, ARunningTaskThatNeverWaitsAgainKeepsItsValue)
{
    abort_handle self;
    self = map.spawn(1, [&]() -> task<int> {
        self.abort();
        co_return co_await give(7);
    });
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 7);
    self = map.spawn(1, [&]() -> task<int> {
        self.abort();
        throw std::runtime_error("mine");
        co_return 0;
    });
    run(context);
    EXPECT_TRUE(map.try_join_next()->result.error().is_exception());
}

TEST_P(JoinMapAbort, EndsATaskThatYieldsSleepsOrWaitsForATimer)
{
    journal frames;
    const auto with = [&](auto what) {
        return [what, held = tracked(frames)]() -> task<int> {
            for (;;)
                co_await what;
        };
    };
    asio::steady_timer timer(executor, 24h);
    map.spawn(1, with(this_task::yield()));
    map.spawn(2, with(this_task::sleep_for(24h)));
    map.spawn(3, with(this_task::sleep_forever()));
    map.spawn(4, [&, held = tracked(frames)]() -> task<int> {
        co_await timer.async_wait(asio::deferred);
        co_return 0;
    });
    for (int i = 0; i != 8; ++i) {
        context.restart();
        context.poll_one();
    }
    EXPECT_EQ(map.abort_all(), 4u);
    run(context);
    EXPECT_EQ(frames.alive(), 0);
    for (int i = 0; i != 4; ++i)
        EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
}

TEST_P(JoinMapAbort, AFinishedTaskKeepsItsValue)
{
    const abort_handle handle = map.spawn(1, give(7));
    run(context);
    EXPECT_FALSE(handle.abort());
    EXPECT_FALSE(map.abort(1));
    EXPECT_EQ(map.abort_all(), 0u);
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 7);
}

TEST_P(JoinMapAbort, IsStickyAndIdempotent)
{
    manual_event event(executor, when_cancelled::goes_on);
    const abort_handle handle = map.spawn(1, wait(event));
    poll(context);
    for (int i = 0; i != 3; ++i) {
        EXPECT_TRUE(handle.abort());
        poll(context);
    }
    EXPECT_EQ(event.cancellations(), 1);
    event.complete();
    poll(context);
    EXPECT_FALSE(handle.abort());
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
}

// -- work that follows its own rules -----------------------------------------------------------------------

TEST_P(JoinMapAbort, AnAwaitableThatObeysEndsAsCancelledWithTheReason)
{
    const auto waits = [&]() -> asio::awaitable<int> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 24h);
        co_await timer.async_wait(asio::use_awaitable);
        co_return 1;
    };
    const abort_handle callable = map.spawn(1, waits);
    const abort_handle itself = map.spawn(2, waits());
    poll(context);
    EXPECT_TRUE(map.abort(2));
    poll(context);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
    EXPECT_FALSE(callable.is_finished());
    expect_end_by_abort(callable);
}

TEST_P(JoinMapAbort, AnAwaitableThatYieldsAValueInSpiteOfItCounts)
{
    const abort_handle handle = map.spawn(1, [&]() -> asio::awaitable<int> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 24h);
        const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        EXPECT_EQ(error, operation_aborted);
        co_return 7;
    });
    poll(context);
    EXPECT_TRUE(handle.abort());
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 7);
}

TEST_P(JoinMapAbort, AnotherExceptionOfAnAwaitableCounts)
{
    const abort_handle handle = map.spawn(1, [&]() -> asio::awaitable<int> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 24h);
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        throw std::runtime_error("mine");
    });
    poll(context);
    EXPECT_TRUE(handle.abort());
    run(context);
    const auto joined = map.try_join_next();
    EXPECT_THROW(joined->result.value(), std::runtime_error);
}

TEST_P(JoinMapAbort, OperationAbortedWithoutAnAbortIsTheTasksOwnException)
{
    manual_event event(executor);
    map.spawn(1, [&]() -> asio::awaitable<int> {
        co_await event.async_wait(asio::use_awaitable);
        co_return 1;
    });
    poll(context);
    event.complete(operation_aborted);
    run(context);
    EXPECT_TRUE(map.try_join_next()->result.error().is_exception());
}

TEST_P(JoinMapAbort, AnOperationFollowsTheSameRules)
{
    join_map<int, void> operations(executor);
    manual_event obeys(executor);
    manual_event yields(executor, when_cancelled::goes_on);
    manual_event fails(executor, when_cancelled::goes_on);
    operations.spawn(1, obeys.async_wait());
    operations.spawn(2, yields.async_wait());
    operations.spawn(3, fails.async_wait());
    poll(context);
    EXPECT_EQ(operations.abort_all(), 3u);
    poll(context);
    EXPECT_EQ(cancelled_as(operations.try_join_next()->result), cancel_reason::aborted);
    EXPECT_EQ(obeys.cancellation(), asio::cancellation_type::terminal);
    EXPECT_EQ(yields.cancellations(), 1);
    yields.complete();
    poll(context);
    EXPECT_TRUE(operations.try_join_next()->result.has_value());
    fails.complete(asio::error::eof);
    poll(context);
    EXPECT_TRUE(operations.try_join_next()->result.error().is_exception());
}

} // namespace
