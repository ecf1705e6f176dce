// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Starting a task and waiting until it says that it is ready.

#include <joinery/error.hpp>
#include <joinery/join_map.hpp>
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

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

struct Readiness : testing::Test {
    using map_type = join_map<int, int>;

    template<class T>
    using end = ended<std::optional<join_result<T>>>;

    /// A server that listens to a port, and serves until it is told to end.
    auto serve()
    {
        return [this, here = tracked(frames)](auto ready) -> task<int> {
            co_await opening.async_wait();
            ready(8080);
            co_await serving.async_wait();
            co_return 1;
        };
    }

    journal frames;
    asio::io_context context;
    manual_event opening{context.get_executor()};
    manual_event serving{context.get_executor(), when_cancelled::goes_on};
    std::optional<map_type> map{context};
    end<int> port;
};

TEST_F(Readiness, YieldsWhatTheTaskSaysWhileTheTaskGoesOn)
{
    map->async_start<int>(1, serve(), {}, port.handler());
    EXPECT_TRUE(map->contains(1));
    poll(context);
    EXPECT_FALSE(port.is_over());
    opening.complete();
    poll(context);
    EXPECT_FALSE(port.error());
    EXPECT_EQ(port.value()->value(), 8080);
    EXPECT_EQ(map->size(), 1u);
    EXPECT_FALSE(map->find(1)->is_finished());
    serving.complete();
    poll(context);
    EXPECT_EQ(map->try_join_next()->result.value(), 1);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(Readiness, SaysNothingButThatIfNoTypeIsGiven)
{
    end<void> ready;
    map->async_start(
        1,
        [&](auto say) -> task<int> {
            co_await opening.async_wait();
            say();
            say(); // once more does nothing
            co_return 2;
        },
        {}, ready.handler());
    poll(context);
    EXPECT_FALSE(ready.is_over());
    opening.complete();
    run(context);
    EXPECT_TRUE(ready.value()->has_value());
    EXPECT_EQ(map->try_join_next()->result.value(), 2);
}

TEST_F(Readiness, TheTaskIsJoinedByOthersWhenItHasBeenReady)
{
    ended_join<map_type> next;
    map->async_join_next(next.handler());
    poll(context);
    map->async_start<int>(1, serve(), {}, port.handler());
    map->async_join(1, [](boost::system::error_code error, auto joined) {
        EXPECT_FALSE(error);
        EXPECT_EQ(joined->result.value(), 1);
    });
    poll(context);
    opening.complete();
    poll(context);
    EXPECT_EQ(port.value()->value(), 8080);
    serving.complete();
    run(context);
    EXPECT_TRUE(map->empty());
}

TEST_F(Readiness, MayYieldWhatCanOnlyBeMoved)
{
    end<std::unique_ptr<int>> ready;
    map->async_start<std::unique_ptr<int>>(
        1, [](auto say) { return say(std::make_unique<int>(5)), 0; }, {}, ready.handler());
    run(context);
    EXPECT_EQ(**ready.value().value(), 5);
}

TEST_F(Readiness, MayBeSaidFromAnotherThreadAndByACopy)
{
    map->async_start<int>(
        1,
        [&](auto ready) -> task<int> {
            const auto copy = ready;
            std::thread([copy] { copy(3); }).join();
            co_await serving.async_wait();
            co_return 1;
        },
        {}, port.handler());
    poll(context);
    EXPECT_EQ(port.value()->value(), 3);
    serving.complete();
    run(context);
}

// -- when it is never ready ------------------------------------------------------------------------------------------

TEST_F(Readiness, ATaskThatFailsBeforeItIsReadyIsJoinedByThat)
{
    map->async_start<int>(
        1,
        [&](auto) -> task<int> {
            co_await opening.async_wait();
            throw std::runtime_error("the port is in use");
        },
        {}, port.handler());
    poll(context);
    opening.complete();
    run(context);
    EXPECT_FALSE(port.error());
    EXPECT_THROW(port.value()->value(), std::runtime_error);
    EXPECT_TRUE(map->empty());
    EXPECT_FALSE(map->try_join_next());
}

TEST_F(Readiness, ATaskThatIsAbortedOrReplacedBeforeItIsReadyIsJoinedByThat)
{
    map->async_start<int>(1, serve(), {}, port.handler());
    poll(context);
    map->abort(1);
    poll(context);
    EXPECT_EQ(cancelled_as(*port.value()), cancel_reason::aborted);
    EXPECT_TRUE(map->empty());
    port.forget();
    map->async_start<int>(1, serve(), {}, port.handler());
    poll(context);
    map->spawn(1, give(4));
    poll(context);
    EXPECT_EQ(cancelled_as(*port.value()), cancel_reason::replaced);
    EXPECT_EQ(map->try_join_next()->result.value(), 4);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(Readiness, IsNothingIfTheTaskEndsWithAValueAndLeavesThatToBeJoined)
{
    map->async_start<int>(1, [](auto) { return 9; }, {}, port.handler());
    run(context);
    EXPECT_FALSE(port.error());
    EXPECT_FALSE(port.value());
    EXPECT_EQ(map->try_join_next()->result.value(), 9);
}

TEST_F(Readiness, IsNothingIfTheTaskWasNotSpawned)
{
    map->spawn(1, wait(serving));
    map->async_start<int>(1, serve(), {.conflict = on_conflict::keep}, port.handler());
    poll(context);
    EXPECT_FALSE(port.error());
    EXPECT_FALSE(port.value());
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(map->size(), 1u);
    serving.complete();
    run(context);
}

TEST_F(Readiness, IsRefusedAsASpawnIs)
{
    map->set_limits({.running = 1, .waiting = 0});
    map->spawn(0, wait(serving));
    map->async_start<int>(1, serve(), {}, port.handler());
    poll(context);
    EXPECT_EQ(port.error(), errc::full);
    port.forget();
    map->close();
    map->async_start<int>(1, serve(), {}, port.handler());
    poll(context);
    EXPECT_EQ(port.error(), errc::closed);
    EXPECT_EQ(frames.alive(), 0);
    serving.complete();
    run(context);
}

TEST_F(Readiness, WhoGivesUpLeavesTheTaskToBeJoined)
{
    asio::cancellation_signal signal;
    map->async_start<int>(1, serve(), {}, asio::bind_cancellation_slot(signal.slot(), port.handler()));
    poll(context);
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(port.error(), asio::error::operation_aborted);
    opening.complete();
    poll(context); // says that it is ready to nobody
    serving.complete();
    run(context);
    EXPECT_EQ(map->try_join_next()->result.value(), 1);
}

TEST_F(Readiness, MayBeSaidWhenTheMapIsGone)
{
    map->async_start<int>(
        1,
        [this](auto ready) -> task<int> {
            const auto hold = co_await this_task::hold_abort();
            co_await serving.async_wait();
            ready(1);
            co_return 1;
        },
        {}, port.handler());
    poll(context);
    map.reset();
    poll(context);
    EXPECT_EQ(port.error(), asio::error::operation_aborted);
    serving.complete();
    run(context);
}

TEST_F(Readiness, WaitsForATaskThatWaitsForRoom)
{
    map->set_limits({.running = 1});
    map->spawn(0, wait(serving));
    map->async_start<int>(1, [](auto ready) { return ready(2), 0; }, {}, port.handler());
    poll(context);
    EXPECT_FALSE(port.is_over());
    serving.complete();
    run(context);
    EXPECT_EQ(port.value()->value(), 2);
}

class ReadinessOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(ReadinessOnEachHome);

TEST_P(ReadinessOnEachHome, IsHeardOfBeforeTheTaskEnds)
{
    join_map<int, int> map(home.executor());
    for (int i = 0; i != 20; ++i) {
        const auto said = std::make_shared<std::promise<int>>();
        map.async_start<int>(
            i,
            [i](auto ready) -> task<int> {
                co_await this_task::yield();
                ready(i);
                co_await this_task::sleep_forever();
                co_return 0;
            },
            {}, [said](boost::system::error_code, auto ready) { said->set_value(ready->value()); });
        EXPECT_EQ(home.get(said->get_future()), i);
    }
    EXPECT_EQ(map.abort_all(), 20u);
    const auto down = std::make_shared<std::promise<int>>();
    map.async_shutdown([down](boost::system::error_code) { down->set_value(0); });
    home.get(down->get_future());
}

} // namespace
