// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Work with a time limit. Whoever has a limit of an hour here is never reached by it; a limit of nothing is reached at
// once.

#include <homes.hpp>
#include <manual_event.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>
#include <joinery/with_timeout.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

using names = std::vector<std::string>;

/// Whether an exception is what a time limit throws.
bool is_timeout(const join_result<int>& result)
{
    if (!result.has_error() || !result.error().is_exception())
        return false;
    try {
        result.error().rethrow();
    } catch (const task_cancelled& error) {
        return error.reason() == cancel_reason::timed_out;
    } catch (...) {
        return false;
    }
}

class WithTimeout : public each_home {};

JOINERY_TEST_ON_EACH_HOME(WithTimeout);

TEST_P(WithTimeout, YieldsTheValueOfWorkThatEndsInTime)
{
    EXPECT_EQ(home.outcome_of<int>(with_timeout(1h, give(3))).value(), 3);
}

TEST_P(WithTimeout, ThrowsTimedOutWhenTheTimeHasPassed)
{
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(with_timeout(1ms, wait_forever()))));
}

TEST_P(WithTimeout, ThatHasPassedAtOnceEndsWorkThatWaits)
{
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(with_timeout(-1h, wait_forever()))));
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(with_timeout(std::chrono::hours::min(), wait_forever()))));
}

TEST_P(WithTimeout, ThatIsTooLongForTheClockNeverPasses)
{
    EXPECT_EQ(home.outcome_of<int>(with_timeout(std::chrono::hours::max(), give(3))).value(), 3);
}

TEST_P(WithTimeout, ThrowsTheExceptionOfTheWork)
{
    const auto failing = []() -> task<int> {
        co_await this_task::yield();
        throw std::domain_error("the work's");
    };
    EXPECT_THROW(home.outcome_of<int>(with_timeout(1h, failing)).value(), std::domain_error);
}

TEST_P(WithTimeout, TakesWorkOfEachKind)
{
    const auto awaitable = []() -> asio::awaitable<int> { co_return 2; };
    EXPECT_EQ(home.outcome_of<int>(with_timeout(1h, [] { return 1; })).value(), 1);
    EXPECT_EQ(home.outcome_of<int>(with_timeout(1h, awaitable())).value(), 2);
    EXPECT_EQ(home.outcome_of<int>(with_timeout(1h, awaitable)).value(), 2);
    EXPECT_TRUE(home.outcome_of<void>(with_timeout(1h, asio::post(home.executor(), asio::deferred))).has_value());
    const auto held = home.outcome_of<std::unique_ptr<int>>(
        with_timeout(1h, []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); }));
    EXPECT_EQ(*held.value(), 3);
}

TEST_P(WithTimeout, EndsAnAwaitableAndAnOperation)
{
    const auto awaitable = []() -> asio::awaitable<int> {
        co_await asio::steady_timer(co_await asio::this_coro::executor, 1h).async_wait(asio::deferred);
        co_return 1;
    };
    const auto operation = []() -> task<int> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        co_await with_timeout(1ms, timer.async_wait(asio::deferred));
        co_return 1;
    };
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(with_timeout(1ms, awaitable))));
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(operation())));
}

TEST_P(WithTimeout, CountsAValueThatComesInSpiteOfTheAbort)
{
    const auto stubborn = []() -> asio::awaitable<int> {
        try {
            co_await asio::steady_timer(co_await asio::this_coro::executor, 1h).async_wait(asio::deferred);
        } catch (...) {
        }
        co_return 5;
    };
    EXPECT_EQ(home.outcome_of<int>(with_timeout(1ms, stubborn)).value(), 5);
}

TEST_P(WithTimeout, OfManyTasksEndsForEach)
{
    join_set<int> set(home.executor());
    for (int i = 0; i != 300; ++i)
        set.spawn(i % 2 == 0 ? with_timeout(i * 1us, wait_forever()) : with_timeout(1h, give(1)));
    int timeouts = 0;
    for (int i = 0; i != 300; ++i)
        timeouts += is_timeout(home.next_of(set));
    EXPECT_EQ(timeouts, 150);
}

TEST_P(WithTimeout, MayRaceWithTheEndOfTheWork)
{
    join_set<int> set(home.executor());
    const auto sleeper = [](std::chrono::microseconds time) -> task<int> {
        co_await this_task::sleep_for(time);
        co_return 1;
    };
    for (int i = 0; i != 300; ++i)
        set.spawn(with_timeout(500us, sleeper(500us)));
    for (int i = 0; i != 300; ++i) {
        const auto result = home.next_of(set);
        EXPECT_TRUE(result.has_value() || is_timeout(result));
    }
}

TEST_P(WithTimeout, InAnotherGivesWayToTheShorterOne)
{
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(with_timeout(1ms, with_timeout(1h, wait_forever())))));
    EXPECT_TRUE(is_timeout(home.outcome_of<int>(with_timeout(1h, with_timeout(1ms, wait_forever())))));
}

TEST_P(WithTimeout, EndsTheWorkWhenItIsAborted)
{
    journal lives;
    join_set<int> set(home.executor());
    const abort_handle outer = set.spawn([&]() -> task<int> {
        const tracked local(lives, "outer");
        co_return co_await with_timeout(1h, hold(tracked(lives, "work")));
    });
    home.run_until([&] { return lives.begun() == 2; });
    outer.abort();
    EXPECT_EQ(cancelled_as(home.next_of(set)), cancel_reason::aborted);
    EXPECT_EQ(lives.ended(), (names{"work", "outer"}));
}

TEST_P(WithTimeout, EndsWithItsExecutor)
{
    journal lives;
    std::optional<any_home> mortal(std::in_place, GetParam());
    join_set<int> set(mortal->executor());
    set.spawn([&lives]() -> task<int> {
        const tracked local(lives, "outer");
        co_return co_await with_timeout(1h, hold(tracked(lives, "work")));
    });
    mortal->run_until([&] { return lives.begun() == 2; });
    mortal.reset();
    EXPECT_EQ(lives.ended(), (names{"work", "outer"}));
    EXPECT_EQ(cancelled_as(set.try_join_next().value().result), cancel_reason::executor_gone);
}

// -- in a context that is run by hand ------------------------------------------------------------------------

class TimeLimit : public testing::Test {
protected:
    std::optional<join_result<int>> outcome()
    {
        poll(context);
        auto next = set.try_join_next();
        return next ? std::optional(std::move(next->result)) : std::nullopt;
    }

    asio::io_context context{1};
    journal lives;
    manual_event event{context.get_executor(), when_cancelled::goes_on};
    join_set<int> set{context};
};

TEST_F(TimeLimit, WaitsForTheWorkAfterItHasPassed)
{
    set.spawn([this]() -> task<int> {
        const tracked local(lives, "outer");
        co_return co_await with_timeout(1us, [this]() -> task<int> {
            const tracked inner(lives, "work");
            co_await event.async_wait();
            co_return 1;
        });
    });
    run_until(context, [this] { return event.cancellations() == 1; });
    EXPECT_FALSE(outcome());
    EXPECT_EQ(lives.alive(), 2);
    event.complete();
    EXPECT_TRUE(is_timeout(outcome().value()));
    EXPECT_EQ(lives.ended(), (names{"work", "outer"}));
}

TEST_F(TimeLimit, WaitsForTheWorkAfterAnAbort)
{
    const abort_handle outer = set.spawn([this]() -> task<int> {
        const tracked local(lives, "outer");
        co_return co_await with_timeout(1h, wait(event, 1));
    });
    EXPECT_FALSE(outcome());
    outer.abort();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_EQ(lives.alive(), 1);
    event.complete();
    EXPECT_EQ(cancelled_as(outcome().value()), cancel_reason::aborted);
}

TEST_F(TimeLimit, KeepsItsContextAtWorkNoLongerThanTheWork)
{
    set.spawn(with_timeout(1h, wait(event, 1)));
    poll(context);
    EXPECT_FALSE(context.stopped());
    event.complete();
    run(context); // would say if it had to wait for the hour
    EXPECT_EQ(outcome().value().value(), 1);
}

TEST_F(TimeLimit, BeginsWhenItsTaskDoes)
{
    task<int> limited = with_timeout(1h, wait(event, 1));
    EXPECT_EQ(event.started(), 0);
    set.spawn(std::move(limited));
    EXPECT_FALSE(outcome());
    EXPECT_EQ(event.started(), 1);
    event.complete();
    EXPECT_TRUE(outcome());
}

TEST_F(TimeLimit, RefusesWorkThatIsNull)
{
    EXPECT_THROW(static_cast<void>(with_timeout(1h, task<int>())), std::invalid_argument);
}

} // namespace
