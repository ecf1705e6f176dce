// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Closing a set or map, and joining all that is in it.

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>

#include <ended.hpp>
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

#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using closing_map = join_map<int, int>;
using keys_of_joined = std::vector<int>;

keys_of_joined keys_of(const std::vector<closing_map::joined>& all)
{
    keys_of_joined keys;
    for (const auto& each : all)
        keys.push_back(each.key);
    return keys;
}

struct ClosingBase : testing::Test {
    asio::io_context context;
    std::optional<closing_map> map{context};
    manual_event event{context.get_executor()};
    manual_event late{context.get_executor(), when_cancelled::goes_on};
    ended_join<closing_map> first;
    ended_join<closing_map> second;
};

// -- closing -------------------------------------------------------------------------------------------------

struct Close : ClosingBase {};

TEST_F(Close, RefusesNewWorkAndLetsTheTasksThatAreThereGoOn)
{
    journal frames;
    map->set_limits({.running = 1});
    map->spawn(1, wait(event, 1));
    map->spawn(2, give(2)); // waits
    EXPECT_FALSE(map->is_closed());
    map->close();
    map->close();
    EXPECT_TRUE(map->is_closed());
    EXPECT_THROW(map->spawn(3, [here = tracked(frames)] { return 3; }), boost::system::system_error);
    EXPECT_THROW(map->spawn(1, [here = tracked(frames)] { return 3; }), boost::system::system_error);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(map->size(), 2u);
    poll(context);
    event.complete();
    run(context);
    EXPECT_EQ(map->try_join_next()->result.value(), 1);
    EXPECT_EQ(map->try_join_next()->result.value(), 2);
    EXPECT_TRUE(map->empty());
}

TEST_F(Close, JoinsUntilThenWaitWhileTheMapIsEmpty)
{
    map->async_join_until_closed(first.handler());
    poll(context);
    EXPECT_FALSE(first.is_over());
    map->spawn(1, give(1));
    poll(context);
    EXPECT_EQ(first.joined().key, 1);
    map->async_join_until_closed(second.handler());
    poll(context);
    EXPECT_FALSE(second.is_over());
    map->close();
    EXPECT_FALSE(second.is_over());
    run(context);
    EXPECT_TRUE(second.is_nothing());
}

TEST_F(Close, JoinsUntilThenGetWhatIsThereBeforeTheyHearOfIt)
{
    map->spawn(1, wait(event));
    map->async_join_until_closed(first.handler());
    map->async_join_until_closed(second.handler());
    map->close();
    poll(context);
    EXPECT_FALSE(first.is_over() || second.is_over());
    event.complete();
    run(context);
    EXPECT_EQ(first.joined().key, 1);
    EXPECT_TRUE(second.is_nothing());
}

TEST_F(Close, EndsALoopThatJoinsInATaskOnceAllAreJoined)
{
    join_set<int> owners(context);
    owners.spawn([&]() -> task<int> {
        int count = 0;
        while (co_await map->async_join_until_closed())
            ++count;
        co_return count;
    });
    for (int i = 0; i != 600; ++i) // more than are joined without a turn for the others
        map->spawn(i, give(i));
    poll(context);
    EXPECT_TRUE(map->empty());
    EXPECT_FALSE(owners.try_join_next());
    map->close();
    run(context);
    EXPECT_EQ(owners.try_join_next()->result.value(), 600);
}

// -- all at once ---------------------------------------------------------------------------------------------

struct JoinAll : ClosingBase {};

TEST_F(JoinAll, OfAMapYieldsEachTaskWithItsKeyInTheOrderOfTheirEnds)
{
    ended<std::vector<closing_map::joined>> all;
    map->spawn(1, wait(event));
    map->spawn(2, give(2));
    map->spawn(3, give(3));
    map->async_join_all(all.handler());
    poll(context);
    EXPECT_FALSE(all.is_over());
    event.complete();
    run(context);
    EXPECT_EQ(keys_of(all.value()), (keys_of_joined{2, 3, 1}));
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinAll, OrAbortAbortsAllOthersAsSoonAsOneFails)
{
    ended<std::vector<closing_map::joined>> all;
    map->spawn(1, wait_forever());
    map->spawn(2, give(2));
    map->spawn(3, [&]() -> task<int> {
        co_await event.async_wait();
        throw std::runtime_error("the cause");
    });
    map->spawn(4, wait(late));
    map->async_join_all_or_abort(all.handler());
    poll(context);
    EXPECT_FALSE(map->find(1)->is_finished());
    event.complete();
    poll(context);
    EXPECT_EQ(late.cancellations(), 1);
    EXPECT_FALSE(all.is_over()); // before all have ended
    late.complete();
    run(context);
    EXPECT_EQ(keys_of(all.value()), (keys_of_joined{2, 3, 1, 4}));
    EXPECT_TRUE(all.value()[1].result.error().is_exception());
    EXPECT_EQ(cancelled_as(all.value()[3].result), cancel_reason::aborted);
}

TEST_F(JoinAll, OrAbortSeesOneThatHadFailedBefore)
{
    ended<std::vector<closing_map::joined>> all;
    map->spawn(1, wait_forever());
    map->spawn(2, wait_forever());
    map->abort(2);
    poll(context);
    map->async_join_all_or_abort(all.handler());
    run(context);
    EXPECT_EQ(keys_of(all.value()), (keys_of_joined{2, 1}));
}

TEST_F(JoinAll, OrAbortAbortsNoneIfNoneFailsOrItIsCancelled)
{
    asio::cancellation_signal signal;
    ended<std::vector<closing_map::joined>> all;
    map->spawn(1, wait(event, 1));
    map->spawn(2, give(2));
    map->async_join_all_or_abort(asio::bind_cancellation_slot(signal.slot(), all.handler()));
    poll(context);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(all.error(), asio::error::operation_aborted);
    map->abort(2);
    map->spawn(3, [] { return throw std::runtime_error("fails"), 3; });
    poll(context);
    EXPECT_EQ(event.cancellations(), 0);
    event.complete();
    run(context);
    EXPECT_EQ(map->size(), 3u);
    map->detach_all();
    all.forget();
    map->spawn(4, give(4));
    map->async_join_all_or_abort(all.handler());
    run(context);
    EXPECT_EQ(all.value()[0].result.value(), 4);
}

} // namespace
