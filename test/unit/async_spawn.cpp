// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Spawning when there is room.

#include <joinery/error.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>

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

#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

/// A map in which one task runs, and none may wait.
struct AsyncSpawn : testing::Test {
    using map_type = join_map<int, int>;

    void SetUp() override
    {
        map->set_limits({.running = 1, .waiting = 0});
        map->spawn(0, wait(event));
        poll(context);
    }

    /// Work that takes note of being entered.
    auto enter(int number)
    {
        return [this, number, here = tracked(frames)] {
            entered.push_back(number);
            return number;
        };
    }

    void start(int number, ended<spawned>& end, const spawn_options& options = {})
    {
        map->async_spawn(number, enter(number), options, end.handler());
    }

    boost::system::error_code refusal(int number, const spawn_options& options = {})
    {
        try {
            map->spawn(number, enter(number), options);
            return {};
        } catch (const boost::system::system_error& refused) {
            return refused.code();
        }
    }

    journal frames;
    asio::io_context context;
    manual_event event{context.get_executor(), when_cancelled::goes_on};
    std::optional<map_type> map{context};
    ended<spawned> first;
    ended<spawned> second;
    std::vector<int> entered;
};

TEST_F(AsyncSpawn, SpawnsAtOnceWhenThereIsRoomButNotWithinTheCall)
{
    map->set_limits({.running = 2, .waiting = 0});
    start(1, first);
    EXPECT_FALSE(map->contains(1));
    poll(context);
    EXPECT_FALSE(first.error());
    EXPECT_EQ(first.value().outcome, spawn_outcome::started);
    EXPECT_TRUE(map->contains_task(first.value().handle.id()));
    EXPECT_EQ(entered, std::vector{1});
}

TEST_F(AsyncSpawn, WaitsForRoomAndSpawnsThenInOrder)
{
    start(1, first);
    start(2, second);
    poll(context);
    EXPECT_FALSE(first.is_over() || second.is_over());
    EXPECT_EQ(map->size(), 1u);
    EXPECT_EQ(frames.alive(), 2);
    event.complete();
    run(context);
    EXPECT_FALSE(first.error() || second.error());
    EXPECT_EQ(entered, (std::vector{1, 2}));
    EXPECT_EQ(map->size(), 3u);
}

TEST_F(AsyncSpawn, WaitsForRoomToWait)
{
    map->set_limits({.running = 1, .waiting = 1});
    start(1, first);
    start(2, second);
    poll(context);
    EXPECT_EQ(first.value().outcome, spawn_outcome::queued);
    EXPECT_FALSE(second.is_over());
    first.value().handle.abort();
    poll(context);
    EXPECT_EQ(second.value().outcome, spawn_outcome::queued);
    event.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{2});
}

TEST_F(AsyncSpawn, GoesByItsOptions)
{
    map->set_limits({.running = 1});
    start(0, first, {.conflict = on_conflict::keep});
    poll(context);
    EXPECT_EQ(first.value().outcome, spawn_outcome::kept);
    EXPECT_EQ(first.value().handle.id(), map->find(0)->id());
    EXPECT_EQ(frames.alive(), 0);
    start(0, second, {.conflict = on_conflict::replace_after_exit});
    poll(context);
    EXPECT_EQ(second.value().outcome, spawn_outcome::queued);
    EXPECT_EQ(event.cancellations(), 1);
    event.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{0});
}

TEST_F(AsyncSpawn, WhoSpawnsWithoutWaitingComesAfterThoseWhoWait)
{
    start(1, first);
    event.complete();
    run_until(context, [&] { return map->find(0)->is_finished(); });
    EXPECT_FALSE(first.is_over()); // it is on its way
    EXPECT_EQ(refusal(2), errc::full);
    run(context);
    EXPECT_EQ(entered, std::vector{1});
    EXPECT_FALSE(refusal(2));
    run(context);
    EXPECT_EQ(entered, (std::vector{1, 2}));
}

TEST_F(AsyncSpawn, WhoSpawnsWithoutWaitingMayWaitBesideOneThatIsOnItsWay)
{
    map->set_limits({});
    start(1, first); // on its way, though there is room without end
    EXPECT_FALSE(refusal(2, {.delay = std::chrono::nanoseconds(1)}));
    map->set_limits({.running = 2, .waiting = 2});
    EXPECT_FALSE(refusal(3));
    event.complete();
    run(context);
    EXPECT_EQ(entered.size(), 3u);
}

TEST_F(AsyncSpawn, NoMoreWaitThanMayWhenSeveralAreOnTheirWay)
{
    std::deque<ended<spawned>> ends(5);
    map->set_limits({.running = 1, .waiting = 2});
    for (int i = 0; i != 5; ++i)
        start(i + 1, ends[static_cast<std::size_t>(i)]);
    poll(context);
    EXPECT_EQ(map->size(), 3u);
    EXPECT_EQ(refusal(9), errc::full);
    event.complete();
    run(context);
    EXPECT_EQ(entered, (std::vector{1, 2, 3, 4, 5}));
}

TEST_F(AsyncSpawn, ThatIsCancelledLeavesNoTrace)
{
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
        asio::cancellation_signal signal;
        first.forget();
        second.forget();
        map->async_spawn(1, enter(1), {}, asio::bind_cancellation_slot(signal.slot(), first.handler()));
        start(2, second);
        poll(context);
        signal.emit(type);
        poll(context);
        EXPECT_EQ(first.error(), asio::error::operation_aborted);
        EXPECT_EQ(frames.alive(), 1);
        EXPECT_EQ(map->size(), 1u);
        event.complete();
        run(context);
        EXPECT_FALSE(second.error());
        map->detach_all();
        map->spawn(0, wait(event));
        poll(context);
    }
    EXPECT_EQ(entered, (std::vector{2, 2, 2}));
}

TEST_F(AsyncSpawn, ThatIsCancelledOnItsWayLeavesTheRoomToTheNext)
{
    asio::cancellation_signal signal;
    map->async_spawn(1, enter(1), {}, asio::bind_cancellation_slot(signal.slot(), first.handler()));
    start(2, second);
    event.complete();
    run_until(context, [&] { return map->find(0)->is_finished(); });
    signal.emit(asio::cancellation_type::terminal);
    run(context);
    EXPECT_EQ(first.error(), asio::error::operation_aborted);
    EXPECT_FALSE(second.error());
    EXPECT_EQ(entered, std::vector{2});
}

TEST_F(AsyncSpawn, EndsAsAbortedWhenTheMapIsDestroyed)
{
    start(1, first);
    poll(context);
    map.reset();
    EXPECT_FALSE(first.is_over());
    poll(context);
    EXPECT_EQ(first.error(), asio::error::operation_aborted);
    EXPECT_EQ(frames.alive(), 0);
    event.complete();
    run(context);
    EXPECT_TRUE(entered.empty());
}

TEST_F(AsyncSpawn, IsRefusedWhenTheMapIsClosedMeanwhile)
{
    start(1, first);
    poll(context);
    map->close();
    poll(context);
    EXPECT_EQ(first.error(), errc::closed);
    EXPECT_EQ(frames.alive(), 0);
    start(2, second);
    poll(context);
    EXPECT_EQ(second.error(), errc::closed);
    event.complete();
    run(context);
    EXPECT_EQ(map->size(), 1u);
}

TEST_F(AsyncSpawn, OfASetWaitsForRoomToo)
{
    join_set<int> set(context);
    set.set_limits({.running = 0, .waiting = 0});
    set.async_spawn(enter(1), {}, first.handler());
    poll(context);
    EXPECT_FALSE(first.is_over());
    set.set_limits({.running = 1});
    poll(context);
    EXPECT_FALSE(first.error());
    EXPECT_EQ(set.try_join_next()->id, first.value().handle.id());
    event.complete();
    run(context);
}

class AsyncSpawnOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(AsyncSpawnOnEachHome);

TEST_P(AsyncSpawnOnEachHome, HoldsBackATaskThatSpawnsFasterThanItsTasksRun)
{
    journal running;
    join_map<int, int> map(home.executor());
    map.set_limits({.running = 2, .waiting = 1});
    const auto sum = home.outcome_of<int>([&]() -> task<int> {
        int joined = 0;
        for (int i = 0; i != 50; ++i) {
            co_await map.async_spawn(i, [&running, i]() -> task<int> {
                const tracked here(running);
                co_await this_task::yield();
                co_return i;
            });
            EXPECT_LE(map.size(), 50u);
            while (auto next = map.try_join_next())
                joined += next->result.value();
        }
        while (auto next = co_await map.async_join_next())
            joined += next->result.value();
        co_return joined;
    });
    EXPECT_EQ(sum.value(), 49 * 50 / 2);
    EXPECT_LE(running.most_alive(), 2);
}

} // namespace
