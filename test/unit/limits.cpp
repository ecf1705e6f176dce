// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// How many tasks of a set or map run, how many wait, and what becomes of those that have no room.

#include <joinery/blocking_pool.hpp>
#include <joinery/error.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
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
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

/// A map, and work that takes note of being entered and ends when it is told to.
struct LimitsBase : testing::Test {
    using map_type = join_map<int, int>;

    LimitsBase()
    {
        for (int i = 0; i != 10; ++i)
            gates.emplace_back(context.get_executor(), when_cancelled::goes_on);
    }

    task<int> pass(int number, tracked)
    {
        entered.push_back(number);
        co_await gates[static_cast<std::size_t>(number)].async_wait();
        co_return number;
    }

    task<int> pass(int number)
    {
        return pass(number, tracked(frames));
    }

    void spawn(int first, int last)
    {
        for (int i = first; i <= last; ++i)
            map->spawn(i, pass(i));
        poll(context);
    }

    /// Lets a task that has been entered end.
    void open(int number)
    {
        gates[static_cast<std::size_t>(number)].complete();
        poll(context);
    }

    template<class F>
    boost::system::error_code refusal(F&& spawn_one)
    {
        try {
            spawn_one();
            return {};
        } catch (const boost::system::system_error& refused) {
            return refused.code();
        }
    }

    using numbers = std::vector<int>;

    journal frames;
    asio::io_context context;
    std::deque<manual_event> gates;
    std::optional<map_type> map{context};
    numbers entered;
};

// -- how many run -----------------------------------------------------------------------------------------

struct Limits : LimitsBase {};

TEST_F(Limits, SoManyRunAndTheOthersWaitInOrder)
{
    map->set_limits({.running = 2});
    spawn(0, 4);
    EXPECT_EQ(entered, (numbers{0, 1}));
    open(1);
    EXPECT_EQ(entered, (numbers{0, 1, 2}));
    open(0);
    open(2);
    EXPECT_EQ(entered, (numbers{0, 1, 2, 3, 4}));
    EXPECT_EQ(map->size(), 5u); // nobody had to join for that
    open(3);
    open(4);
    for (const int expected : {1, 0, 2, 3, 4})
        EXPECT_EQ(map->try_join_next()->key, expected);
}

TEST_F(Limits, ATaskThatWaitsIsFoundLikeAnyOther)
{
    map->set_limits({.running = 1});
    const abort_handle waiting = (map->spawn(0, pass(0)), map->spawn(1, pass(1)));
    EXPECT_EQ(map->spawn(2, pass(2), {}).outcome, spawn_outcome::queued);
    poll(context);
    EXPECT_EQ(map->size(), 3u);
    EXPECT_EQ(map->keys().size(), 3u);
    EXPECT_TRUE(map->contains(1));
    EXPECT_TRUE(map->contains_task(waiting.id()));
    EXPECT_EQ(map->find(1)->id(), waiting.id());
    EXPECT_FALSE(waiting.is_finished());
}

TEST_F(Limits, ATaskThatIsAbortedWhileItWaitsEndsAtOnceAndIsNeverEntered)
{
    map->set_limits({.running = 1});
    spawn(0, 3);
    EXPECT_TRUE(map->abort(1));
    poll(context);
    EXPECT_EQ(frames.alive(), 3);
    const auto joined = map->try_join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->key, 1);
    EXPECT_EQ(cancelled_as(joined->result), cancel_reason::aborted);
    EXPECT_EQ(map->abort_matching([](int key) { return key == 2; }), 1u);
    open(0);
    EXPECT_EQ(entered, (numbers{0, 3}));
    EXPECT_EQ(map->abort_all(), 1u);
    open(3);
}

TEST_F(Limits, ATaskThatIsReplacedWhileItWaitsIsNeverEnteredAndTheNewOneWaitsInstead)
{
    map->set_limits({.running = 1, .waiting = 2});
    spawn(0, 2);
    map->spawn(1, pass(5)); // full, but this takes no more room
    EXPECT_EQ(map->size(), 3u);
    EXPECT_EQ(frames.alive(), 4);
    poll(context);
    EXPECT_EQ(frames.alive(), 3);
    open(0);
    open(2);
    EXPECT_EQ(entered, (numbers{0, 2, 5}));
}

TEST_F(Limits, ATaskThatWasReplacedTakesRoomUntilItHasEnded)
{
    map->set_limits({.running = 1});
    spawn(0, 0);
    map->spawn(0, pass(1));
    poll(context);
    EXPECT_EQ(entered, (numbers{0}));
    open(0);
    EXPECT_EQ(entered, (numbers{0, 1}));
}

TEST_F(Limits, ATaskThatWasDetachedTakesRoomUntilItHasEnded)
{
    map->set_limits({.running = 1});
    spawn(0, 1);
    EXPECT_TRUE(map->detach(0));
    poll(context);
    EXPECT_EQ(entered, (numbers{0}));
    map->detach_all();
    spawn(2, 2);
    EXPECT_EQ(entered, (numbers{0}));
    open(0);
    EXPECT_EQ(entered, (numbers{0, 1})); // it was forgotten, and not aborted
    open(1);
    EXPECT_EQ(entered, (numbers{0, 1, 2}));
    EXPECT_EQ(map->size(), 1u);
}

TEST_F(Limits, AShutdownDoesNotWaitForATaskThatWasDetached)
{
    bool is_over = false;
    map->set_limits({.running = 1});
    spawn(0, 1);
    map->detach_all();
    map->async_shutdown([&](boost::system::error_code) { is_over = true; });
    poll(context);
    EXPECT_TRUE(is_over);
    open(0);
    EXPECT_EQ(entered, (numbers{0, 1}));
    open(1);
}

TEST_F(Limits, TasksAreStartedAsTheLimitIsRaisedAndNoneWhenItIsLowered)
{
    map->set_limits({.running = 1});
    spawn(0, 5);
    map->set_limits({.running = 3});
    poll(context);
    EXPECT_EQ(entered, (numbers{0, 1, 2}));
    map->set_limits({.running = 1});
    open(0);
    open(1);
    EXPECT_EQ(entered, (numbers{0, 1, 2}));
    open(2);
    EXPECT_EQ(entered, (numbers{0, 1, 2, 3}));
    map->set_limits({});
    poll(context);
    EXPECT_EQ(entered, (numbers{0, 1, 2, 3, 4, 5}));
}

TEST_F(Limits, NoneRunsWhileTheLimitIsZero)
{
    map->set_limits({.running = 0});
    spawn(0, 2);
    EXPECT_TRUE(entered.empty());
    EXPECT_TRUE(map->abort(1));
    poll(context);
    EXPECT_EQ(map->try_join_next()->key, 1);
    map->set_limits({.running = 5});
    poll(context);
    EXPECT_EQ(entered, (numbers{0, 2}));
}

TEST_F(Limits, TasksThatWaitEndWithTheMapUnentered)
{
    map->set_limits({.running = 1});
    spawn(0, 3);
    const abort_handle waiting = *map->find(2);
    map.reset();
    poll(context);
    EXPECT_EQ(frames.alive(), 1);
    EXPECT_TRUE(waiting.is_finished());
    open(0);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(entered, (numbers{0}));
}

TEST_F(Limits, TasksThatWaitEndWithTheirContext)
{
    auto own = std::make_unique<asio::io_context>();
    map_type other(*own);
    other.set_limits({.running = 0});
    other.spawn(1, [this] {
        entered.push_back(1);
        return 1;
    });
    const abort_handle on_another = other.spawn_on(context, 2, give(2));
    own.reset();
    poll(context);
    const auto joined = other.try_join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->key, 1);
    EXPECT_EQ(cancelled_as(joined->result), cancel_reason::executor_gone);
    EXPECT_FALSE(on_another.is_finished());
    EXPECT_TRUE(entered.empty());
}

// -- how many wait ----------------------------------------------------------------------------------------

TEST_F(Limits, WorkForWhichThereIsNoRoomToWaitIsRefusedAndNothingChanges)
{
    map->set_limits({.running = 1, .waiting = 2});
    spawn(0, 2);
    EXPECT_EQ(refusal([&] { map->spawn(3, pass(3)); }), errc::full);
    EXPECT_EQ(refusal([&] { map->spawn(3, pass(3), {}); }), errc::full);
    EXPECT_EQ(refusal([&] { map->spawn(0, pass(3)); }), errc::full); // not even one that replaces
    EXPECT_EQ(refusal([&] { map->spawn(0, pass(3), {.conflict = on_conflict::queue_latest}); }), errc::full);
    EXPECT_EQ(map->spawn(0, pass(3), {.conflict = on_conflict::keep}).outcome, spawn_outcome::kept);
    EXPECT_EQ(frames.alive(), 3);
    EXPECT_EQ(map->size(), 3u);
    EXPECT_EQ(gates[0].cancellations(), 0);
    open(0);
    spawn(3, 3);
    EXPECT_EQ(refusal([&] { map->spawn(4, pass(4)); }), errc::full);
    for (int i = 1; i != 4; ++i)
        open(i);
    EXPECT_EQ(entered, (numbers{0, 1, 2, 3}));
}

TEST_F(Limits, WorkThatIsDelayedTakesRoomToWait)
{
    map->set_limits({.waiting = 1});
    map->spawn(0, pass(0), {.delay = std::chrono::hours(1)});
    EXPECT_EQ(refusal([&] { map->spawn(1, pass(1), {.delay = std::chrono::hours(1)}); }), errc::full);
    spawn(2, 2);
    EXPECT_EQ(entered, (numbers{2}));
    map->abort_all();
    open(2);
}

TEST_F(Limits, HoldForASetToo)
{
    join_set<int> set(context);
    set.set_limits({.running = 1, .waiting = 1});
    set.spawn(pass(0));
    set.spawn(pass(1));
    EXPECT_EQ(refusal([&] { set.spawn(pass(2)); }), errc::full);
    poll(context);
    EXPECT_EQ(entered, (numbers{0}));
    open(0);
    open(1);
    EXPECT_EQ(set.size(), 2u);
}

// -- on each home -------------------------------------------------------------------------------------------

class LimitsOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(LimitsOnEachHome);

TEST_P(LimitsOnEachHome, NeverMoreRunThanMay)
{
    journal running;
    std::atomic<int> over{0};
    join_map<int, int> map(home.executor());
    map.set_limits({.running = 3});
    for (int i = 0; i != 100; ++i) {
        map.spawn(i, [&running, &over, i]() -> task<int> {
            {
                const tracked here(running);
                for (int turn = 0; turn != i % 4; ++turn)
                    co_await this_task::yield();
            }
            ++over;
            co_return i;
        });
    }
    home.run_until([&] { return over == 100; });
    EXPECT_LE(running.most_alive(), 3);
    std::vector<bool> joined(100);
    home.run_until([&] {
        while (const auto next = map.try_join_next())
            joined[static_cast<std::size_t>(next->result.value())] = true;
        return map.empty();
    });
    EXPECT_EQ(joined, std::vector<bool>(100, true));
}

TEST_F(Limits, HoldForFunctionsOnABlockingPool)
{
    blocking_pool pool;
    std::atomic<int> running{0};
    std::atomic<int> most{0};
    const auto function = [&](std::stop_token) {
        most = std::max(most.load(), ++running);
        std::this_thread::yield();
        --running;
        return 0;
    };
    map->set_limits({.running = 1});
    for (int i = 0; i != 20; ++i) {
        if (i % 2)
            map->spawn_blocking_on(pool, i, function);
        else
            map->spawn_blocking_on(pool, i, [&] { return function({}); });
    }
    EXPECT_TRUE(map->abort(18) && map->abort(19));
    int joined = 0;
    for (int i = 0; i != 20; ++i)
        map->async_join_next([&](boost::system::error_code, auto next) {
            ++joined;
            EXPECT_EQ(next->result.has_value(), next->key < 18);
        });
    run(context);
    EXPECT_EQ(joined, 20);
    EXPECT_EQ(most, 1);
}

TEST_F(Limits, ATaskOfALocalSetThatIsAbortedElsewhereWhileItWaitsIsDestroyedOnItsThread)
{
    local_set local;
    std::optional<join_map<int, int>> others(local);
    others->set_limits({.running = 0});
    const abort_handle waiting = others->spawn(1, hold(tracked(frames)));
    std::thread([&] { waiting.abort(); }).join();
    EXPECT_EQ(frames.alive(), 1);
    local.run_until([]() -> task<> { co_await this_task::yield(); });
    EXPECT_EQ(frames.threads(), std::vector{std::this_thread::get_id()});
    EXPECT_EQ(cancelled_as(others->try_join_next()->result), cancel_reason::aborted);
}

} // namespace
