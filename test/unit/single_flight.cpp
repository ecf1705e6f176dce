// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// One task for all who ask for its key at the same time.

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
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

struct SingleFlight : testing::Test {
    using map_type = join_map<std::string, int>;

    /// Work that takes note of being entered, and ends when it is told to.
    auto fetch()
    {
        return [this, here = tracked(frames)]() -> task<int> {
            const int number = ++flights;
            co_await event.async_wait();
            co_return number;
        };
    }

    void get(ended_join<map_type>& end)
    {
        map->async_get("page", fetch(), end.handler());
    }

    void get(ended_join<map_type>& end, asio::cancellation_signal& signal)
    {
        map->async_get("page", fetch(), asio::bind_cancellation_slot(signal.slot(), end.handler()));
    }

    void complete()
    {
        event.complete();
        poll(context);
    }

    journal frames;
    int flights = 0;
    asio::io_context context;
    manual_event event{context.get_executor(), when_cancelled::goes_on};
    std::optional<map_type> map{context};
    std::deque<ended_join<map_type>> ends{3};
    asio::cancellation_signal give_up;
    asio::cancellation_signal give_up_too;
};

TEST_F(SingleFlight, AllWhoAskMeanwhileShareOneTask)
{
    for (auto& each : ends)
        get(each);
    EXPECT_EQ(map->size(), 1u);
    poll(context);
    complete();
    EXPECT_EQ(frames.alive(), 0); // nor is the work left that was not wanted
    for (auto& each : ends) {
        EXPECT_EQ(each.joined().key, "page");
        EXPECT_EQ(each.joined().result.value(), 1);
    }
    EXPECT_EQ(flights, 1);
    EXPECT_TRUE(map->empty());
}

TEST_F(SingleFlight, TheNextToAskSpawnsAnew)
{
    get(ends[0]);
    poll(context);
    complete();
    get(ends[1]);
    poll(context);
    complete();
    EXPECT_EQ(ends[0].joined().result.value(), 1);
    EXPECT_EQ(ends[1].joined().result.value(), 2);
}

TEST_F(SingleFlight, WhoAsksWhenTheTaskHasEndedAndOthersAreOnTheirWayStillGetsTheOutcome)
{
    get(ends[0]);
    get(ends[1]);
    poll(context);
    event.complete();
    run_until(context, [&] { return ends[0].is_over(); });
    EXPECT_FALSE(ends[1].is_over());
    get(ends[2]);
    run(context);
    EXPECT_EQ(ends[1].joined().result.value(), 1);
    EXPECT_EQ(ends[2].joined().result.value(), 1);
    EXPECT_TRUE(map->empty());
}

TEST_F(SingleFlight, AnExceptionIsShared)
{
    const auto fail = []() -> task<int> {
        co_await this_task::yield();
        throw std::runtime_error("no such page");
    };
    for (auto& each : ends)
        map->async_get("page", fail, each.handler());
    run(context);
    for (auto& each : ends)
        EXPECT_EQ(each.joined().result.error().exception(), ends[0].joined().result.error().exception());
    EXPECT_THROW(ends[0].joined().result.value(), std::runtime_error);
    EXPECT_TRUE(map->empty());
}

TEST_F(SingleFlight, SharesATaskThatWasSpawnedOtherwise)
{
    map->spawn("page", fetch());
    get(ends[0]);
    poll(context);
    complete();
    EXPECT_EQ(flights, 1);
    EXPECT_EQ(ends[0].joined().result.value(), 1);
    map->spawn("page", [] { return 7; });
    poll(context);
    get(ends[1]); // of one that has ended, too
    run(context);
    EXPECT_EQ(ends[1].joined().result.value(), 7);
    EXPECT_TRUE(map->empty());
}

TEST_F(SingleFlight, OfTasksThatYieldNothingTellsTheirEnd)
{
    int calls = 0;
    join_map<int, void> tasks(context);
    ended_join<join_map<int, void>> end;
    tasks.async_get(1, [&] { ++calls; }, end.handler());
    run(context);
    EXPECT_TRUE(end.joined().result.has_value());
    EXPECT_EQ(calls, 1);
}

// -- giving up -----------------------------------------------------------------------------------------------------

TEST_F(SingleFlight, OneWhoGivesUpHarmsNoOther)
{
    get(ends[0], give_up); // also the one for whom the task was spawned
    get(ends[1]);
    poll(context);
    give_up.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(ends[0].error(), asio::error::operation_aborted);
    EXPECT_EQ(event.cancellations(), 0);
    complete();
    EXPECT_EQ(ends[1].joined().result.value(), 1);
}

TEST_F(SingleFlight, TheLastWhoGivesUpAbortsTheTaskAndTheNextToAskSpawnsAnew)
{
    get(ends[0], give_up);
    get(ends[1], give_up_too);
    poll(context);
    give_up.emit(asio::cancellation_type::total);
    poll(context);
    EXPECT_EQ(event.cancellations(), 0);
    give_up_too.emit(asio::cancellation_type::total);
    poll(context);
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_TRUE(map->empty());
    EXPECT_EQ(flights, 1);
    map->async_get("page", [this] { return ++flights; }, ends[2].handler()); // while the old one has not ended
    poll(context);
    EXPECT_EQ(ends[2].joined().result.value(), 2);
    complete();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_FALSE(map->try_join_next());
}

TEST_F(SingleFlight, TheLastWhoGivesUpWithTheOutcomeOnItsWayLeavesNothingBehind)
{
    get(ends[0], give_up);
    poll(context);
    event.complete();
    run_until(context, [&] { return map->find("page")->is_finished(); });
    give_up.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(ends[0].error(), asio::error::operation_aborted);
    EXPECT_TRUE(map->empty());
    EXPECT_FALSE(map->try_join_next());
}

TEST_F(SingleFlight, WhoGivesUpLeavesATaskThatWasSpawnedOtherwiseAlone)
{
    map->spawn("page", fetch());
    get(ends[0], give_up);
    poll(context);
    give_up.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(event.cancellations(), 0);
    complete();
    EXPECT_EQ(map->try_join_next()->result.value(), 1);
}

TEST_F(SingleFlight, GivingUpWhileTheTaskWaitsForRoomEndsItUnentered)
{
    map->set_limits({.running = 1});
    map->spawn("other", [] { return wait_forever(); });
    get(ends[0], give_up);
    poll(context);
    give_up.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(flights, 0);
    EXPECT_EQ(map->size(), 1u);
}

TEST_F(SingleFlight, ATaskThatIsAbortedGivesUp)
{
    join_set<int> askers(context);
    const auto ask = [&]() -> task<int> {
        const auto joined = co_await map->async_get("page", fetch());
        co_return joined->result.value();
    };
    const abort_handle one = askers.spawn(ask);
    const abort_handle two = askers.spawn(ask);
    poll(context);
    one.abort();
    poll(context);
    EXPECT_TRUE(one.is_finished());
    EXPECT_EQ(event.cancellations(), 0);
    two.abort();
    poll(context);
    EXPECT_TRUE(two.is_finished());
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_TRUE(map->empty());
    askers.spawn(ask); // spawns anew, when the event is free
    complete();
    EXPECT_EQ(frames.alive(), 1);
    complete();
    EXPECT_EQ(flights, 2);
}

// -- when the task ends otherwise ----------------------------------------------------------------------------------

TEST_F(SingleFlight, ATaskThatIsAbortedOrReplacedEndsAsThatForAll)
{
    get(ends[0]);
    get(ends[1]);
    poll(context);
    map->abort("page");
    complete();
    EXPECT_EQ(cancelled_as(ends[0].joined().result), cancel_reason::aborted);
    EXPECT_EQ(cancelled_as(ends[1].joined().result), cancel_reason::aborted);
    get(ends[2]);
    poll(context);
    map->spawn("page", [] { return 8; });
    poll(context);
    EXPECT_EQ(cancelled_as(ends[2].joined().result), cancel_reason::replaced);
    EXPECT_EQ(map->try_join_next()->result.value(), 8);
    complete();
}

TEST_F(SingleFlight, IsRefusedOnlyIfItHasToSpawn)
{
    map->set_limits({.running = 1, .waiting = 0});
    map->spawn("page", fetch());
    map->async_get("other", fetch(), ends[0].handler());
    map->close();
    map->async_get("third", fetch(), ends[1].handler());
    get(ends[2]);
    poll(context);
    EXPECT_EQ(ends[0].error(), errc::full);
    EXPECT_EQ(ends[1].error(), errc::closed);
    complete();
    EXPECT_EQ(ends[2].joined().result.value(), 1);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(SingleFlight, EndsAsAbortedWhenTheMapIsDestroyed)
{
    get(ends[0]);
    poll(context);
    map.reset();
    poll(context);
    EXPECT_EQ(ends[0].error(), asio::error::operation_aborted);
    EXPECT_EQ(event.cancellations(), 1);
    complete();
    EXPECT_EQ(frames.alive(), 0);
}

class SingleFlightOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(SingleFlightOnEachHome);

TEST_P(SingleFlightOnEachHome, EachWhoAsksGetsTheOutcomeOfTheTaskThatWasThereForIt)
{
    constexpr int rounds = 50;
    std::atomic<int> flights{0};
    std::atomic<int> answers{0};
    join_map<int, int> map(home.executor());
    for (int i = 0; i != rounds; ++i) {
        for (int asker = 0; asker != 4; ++asker) {
            map.async_get(
                i,
                [&flights]() -> task<int> {
                    co_await this_task::yield();
                    co_return ++flights;
                },
                [&, i](boost::system::error_code error, auto joined) {
                    EXPECT_FALSE(error);
                    EXPECT_EQ(joined->key, i);
                    EXPECT_GE(joined->result.value(), 1);
                    ++answers;
                });
        }
    }
    home.run_until([&] { return answers == rounds * 4; });
    EXPECT_GE(flights, rounds);
    EXPECT_TRUE(map.empty());
}

} // namespace
