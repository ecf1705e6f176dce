// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using error_code = boost::system::error_code;
using map_type = join_map<int, int>;
using joined_type = std::optional<map_type::joined>;

constexpr int none = -1;    // there was no task
constexpr int aborted = -2; // the waiting was

/// Notes the key that each join yields.
auto note(std::vector<int>& keys)
{
    return [&keys](error_code error, joined_type joined) {
        EXPECT_TRUE(!error || (error == asio::error::operation_aborted && !joined));
        keys.push_back(error ? aborted : joined ? joined->key : none);
    };
}

struct JoinMapJoinNext : testing::Test {
    asio::io_context context;
    map_type map{context};
    manual_event event{context.get_executor()};
    std::vector<int> keys;
};

TEST_F(JoinMapJoinNext, YieldsTheTasksInTheOrderInWhichTheyEnded)
{
    manual_event second(context.get_executor());
    map.spawn(1, wait(event));
    map.spawn(2, wait(second));
    map.spawn(3, give(3));
    poll(context);
    second.complete();
    poll(context);
    event.complete();
    poll(context);
    for (int i = 0; i != 4; ++i)
        map.async_join_next(note(keys));
    run(context);
    EXPECT_EQ(keys, (std::vector{3, 2, 1, none}));
}

TEST_F(JoinMapJoinNext, NeverCallsItsHandlerWithinTheCall)
{
    const auto start = [&] {
        map.async_join_next(note(keys));
        EXPECT_TRUE(keys.empty());
    };
    start(); // empty
    run(context);
    keys.clear();
    map.spawn(1, give(1));
    map.spawn(2, give(2));
    run(context);
    start(); // ready
    run(context);
    keys.clear();
    asio::post(context, start); // ready, and inside of the executor
    run(context);
    EXPECT_EQ(keys, std::vector{2});
}

TEST_F(JoinMapJoinNext, SeveralThatWaitGetDifferentTasks)
{
    for (int i = 0; i != 3; ++i)
        map.spawn(i, wait_forever());
    for (int i = 0; i != 3; ++i)
        map.async_join_next(note(keys));
    poll(context);
    EXPECT_TRUE(keys.empty());
    map.abort(1);
    poll(context);
    EXPECT_EQ(keys, std::vector{1});
    map.abort_all();
    run(context);
    std::ranges::sort(keys);
    EXPECT_EQ(keys, (std::vector{0, 1, 2}));
}

TEST_F(JoinMapJoinNext, AllThatWaitHearWhenTheMapEmpties)
{
    map.spawn(1, wait(event));
    for (int i = 0; i != 3; ++i)
        map.async_join_next(note(keys));
    poll(context);
    event.complete();
    run(context);
    EXPECT_EQ(keys, (std::vector{1, none, none}));
    keys.clear();
    map.spawn(1, wait_forever());
    map.async_join_next(note(keys));
    map.async_join_next(note(keys));
    poll(context);
    map.detach_all();
    EXPECT_TRUE(keys.empty());
    run(context);
    EXPECT_EQ(keys, (std::vector{none, none}));
}

TEST_F(JoinMapJoinNext, WaitsOnWhenAnotherTookItsTask)
{
    map.spawn(1, give(1));
    map.spawn(2, wait(event));
    map.async_join_next(note(keys));
    run_until(context, [&] { return map.find(1)->is_finished(); });
    EXPECT_TRUE(keys.empty());
    EXPECT_EQ(map.try_join_next()->key, 1); // before the handler's turn came
    poll(context);
    EXPECT_TRUE(keys.empty());
    event.complete();
    run(context);
    EXPECT_EQ(keys, std::vector{2});
}

TEST_F(JoinMapJoinNext, WaitsOnWhenItsTaskWasReplaced)
{
    map.spawn(1, give(1));
    map.async_join_next(note(keys));
    run_until(context, [&] { return map.find(1)->is_finished(); });
    map.spawn(1, wait(event)); // before the handler's turn came
    poll(context);
    EXPECT_TRUE(keys.empty());
    event.complete();
    run(context);
    EXPECT_EQ(keys, std::vector{1});
}

TEST_F(JoinMapJoinNext, SeesWhatIsSpawnedWhileItIsOnItsWay)
{
    map.async_join_next(note(keys)); // the map is empty
    map.spawn(1, give(1));
    run(context);
    EXPECT_EQ(keys.size(), 1u);
    EXPECT_EQ(map.size(), keys == std::vector{1} ? 0u : 1u);
}

TEST_F(JoinMapJoinNext, RunsItsHandlerOnTheMapsExecutorUnlessItHasItsOwn)
{
    asio::io_context elsewhere;
    map.spawn_on(elsewhere, 1, give(1));
    map.async_join_next(note(keys));
    map.async_join_next(asio::bind_executor(elsewhere, note(keys)));
    poll(elsewhere);
    EXPECT_TRUE(keys.empty());
    run(context);
    EXPECT_EQ(keys, std::vector{1});
    run(elsewhere);
    EXPECT_EQ(keys, (std::vector{1, none}));
}

// -- cancellation ------------------------------------------------------------------------------------------------

class JoinMapJoinNextCancelled : public JoinMapJoinNext,
                                 public testing::WithParamInterface<std::pair<const char*, asio::cancellation_type>> {
protected:
    auto cancellable()
    {
        return asio::bind_cancellation_slot(signal.slot(), note(keys));
    }

    void cancel()
    {
        signal.emit(GetParam().second);
    }

    asio::cancellation_signal signal;
};

INSTANTIATE_TEST_SUITE_P(, JoinMapJoinNextCancelled,
                         testing::Values(std::pair("Terminal", asio::cancellation_type::terminal),
                                         std::pair("Partial", asio::cancellation_type::partial),
                                         std::pair("Total", asio::cancellation_type::total)),
                         [](const auto& each) { return each.param.first; });

TEST_P(JoinMapJoinNextCancelled, WhileItWaitsLeavesTheTask)
{
    map.spawn(1, wait(event));
    map.async_join_next(cancellable());
    poll(context);
    cancel();
    EXPECT_TRUE(keys.empty());
    poll(context);
    EXPECT_EQ(keys, std::vector{aborted});
    event.complete();
    poll(context);
    EXPECT_EQ(map.try_join_next()->key, 1);
}

TEST_P(JoinMapJoinNextCancelled, WhenItsTaskHasEndedLeavesTheResult)
{
    map.spawn(1, give(1));
    map.async_join_next(cancellable());
    run_until(context, [&] { return map.find(1)->is_finished(); });
    cancel();
    run(context);
    EXPECT_EQ(keys, std::vector{aborted});
    EXPECT_EQ(map.try_join_next()->result.value(), 1);
}

TEST_P(JoinMapJoinNextCancelled, BeforeItHasBegunToWaitLeavesTheResult)
{
    map.spawn(1, give(1));
    run(context);
    map.async_join_next(cancellable());
    cancel();
    run(context);
    EXPECT_EQ(keys, std::vector{aborted});
    EXPECT_EQ(map.try_join_next()->result.value(), 1);
}

TEST_P(JoinMapJoinNextCancelled, LeavesTheResultToAnotherThatWaits)
{
    map.spawn(1, give(1));
    map.spawn(2, wait_forever());
    map.async_join_next(cancellable());
    map.async_join_next(note(keys));
    run_until(context, [&] { return map.find(1)->is_finished(); });
    cancel();
    poll(context);
    std::ranges::sort(keys);
    EXPECT_EQ(keys, (std::vector{aborted, 1}));
}

TEST_P(JoinMapJoinNextCancelled, TwiceOrTooLateDoesNothing)
{
    map.spawn(1, wait(event));
    map.async_join_next(cancellable());
    cancel();
    cancel();
    run(context);
    cancel();
    run(context);
    EXPECT_EQ(keys, std::vector{aborted});
}

TEST_F(JoinMapJoinNext, IsNotCancelledByNone)
{
    asio::cancellation_signal signal;
    map.spawn(1, wait(event));
    map.async_join_next(asio::bind_cancellation_slot(signal.slot(), note(keys)));
    signal.emit(asio::cancellation_type::none);
    poll(context);
    EXPECT_TRUE(keys.empty());
    event.complete();
    run(context);
    EXPECT_EQ(keys, std::vector{1});
}

// -- the map is destroyed ----------------------------------------------------------------------------------------

TEST_F(JoinMapJoinNext, EndsAsAbortedWhenTheMapIsDestroyed)
{
    std::optional<map_type> other(context);
    other->spawn(1, wait_forever());
    other->async_join_next(note(keys));
    other->async_join_next(note(keys));
    poll(context);
    other.reset();
    EXPECT_TRUE(keys.empty());
    poll(context);
    EXPECT_EQ(keys, (std::vector{aborted, aborted}));
}

TEST_F(JoinMapJoinNext, EndsAsAbortedWhenTheMapIsDestroyedWithTheResultOnItsWay)
{
    std::optional<map_type> other(context);
    other->spawn(1, give(1));
    other->async_join_next(note(keys));
    run_until(context, [&] { return other->find(1)->is_finished(); });
    other.reset();
    run(context);
    EXPECT_EQ(keys, std::vector{aborted});
}

// -- who awaits it is aborted --------------------------------------------------------------------------------------

TEST_F(JoinMapJoinNext, LosesNoResultToATaskThatIsAbortedWhileItIsOnItsWay)
{
    map_type owners(context);
    const abort_handle owner = owners.spawn(1, [&]() -> task<int> {
        co_await map.async_join_next();
        ADD_FAILURE() << "resumed";
        co_return 0;
    });
    map.spawn(1, wait(event, 1));
    poll(context);
    event.complete();
    run_until(context, [&] { return map.find(1)->is_finished(); });
    owner.abort(); // the join is woken, and its handler has not run
    run(context);
    EXPECT_TRUE(owner.is_finished());
    ASSERT_EQ(map.size(), 1u);
    EXPECT_EQ(map.try_join_next()->result.value(), 1);
}

TEST_F(JoinMapJoinNext, ATaskThatIsAbortedWithTheResultInItsHandsSeesIt)
{
    asio::io_context elsewhere;
    map_type owners(context);
    const abort_handle owner = owners.spawn(1, [&]() -> task<int> {
        note(keys)({}, co_await map.async_join_next(asio::bind_executor(elsewhere, asio::deferred)));
        co_await this_task::yield();
        ADD_FAILURE() << "resumed";
        co_return 0;
    });
    map.spawn(1, give(1));
    poll(context);
    EXPECT_EQ(map.size(), 1u);
    poll(elsewhere); // gives the result to the task, which is on another executor
    EXPECT_EQ(map.size(), 0u);
    owner.abort();
    run(context);
    EXPECT_EQ(keys, std::vector{1});
    EXPECT_EQ(cancelled_as(owners.try_join_next()->result), cancel_reason::aborted);
}

} // namespace
