// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Sections that an abort does not end, and tokens that ask a task to end by itself.

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <homes.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

class HoldAbort : public each_home {
protected:
    /// Spawns a task that goes through its places one by one, and is aborted before it has reached the given one.
    template<class Work>
    join_result<int> abort_at(int place, Work work)
    {
        join_set<int> set(home.executor());
        const abort_handle handle = set.spawn(std::move(work));
        home.run_until([&] { return at == place; });
        handle.abort();
        aborted_it = true;
        return home.next_of(set);
    }

    /// Waits in turns for the abort.
    task<> reach(int place)
    {
        at = place;
        while (!aborted_it)
            co_await this_task::yield();
    }

    std::atomic<int> at{0};
    std::atomic<bool> aborted_it{false};
    std::atomic<int> passed{0};
    journal frames;
};

JOINERY_TEST_ON_EACH_HOME(HoldAbort);

task<int> nested_one(std::atomic<int>& passed)
{
    const auto hold = co_await this_task::hold_abort();
    co_await this_task::yield();
    co_return ++passed;
}

TEST_P(HoldAbort, LetsTheSectionRunToItsEndWhateverItAwaits)
{
    join_set<int> parts(home.executor());
    const auto result = abort_at(1, [&]() -> task<int> {
        const tracked here(frames);
        {
            const auto hold = co_await this_task::hold_abort();
            co_await reach(1);
            EXPECT_TRUE(co_await this_task::abort_requested());
            co_await this_task::yield();
            co_await this_task::sleep_for(1ns);
            asio::steady_timer timer(co_await asio::this_coro::executor, 1ns);
            co_await timer.async_wait(asio::deferred);
            parts.spawn([]() -> task<int> {
                co_await this_task::yield();
                co_return 4;
            });
            const auto part = co_await parts.async_join_next();
            EXPECT_EQ(part->result.value(), 4);
            EXPECT_FALSE(co_await parts.async_join_next()); // at once
            EXPECT_EQ(co_await nested_one(passed), 1);
            co_await []() -> asio::awaitable<void> {
                asio::steady_timer inner(co_await asio::this_coro::executor, 1ns);
                co_await inner.async_wait(asio::use_awaitable);
            };
            ++passed;
        }
        co_await this_task::yield();
        ++passed;
        co_return 0;
    });
    EXPECT_EQ(cancelled_as(result), cancel_reason::aborted);
    EXPECT_EQ(passed, 2);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_P(HoldAbort, AnOperationInTheSectionIsNotCancelled)
{
    join_set<int> set(home.executor());
    const abort_handle handle = set.spawn([&]() -> task<int> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 5ms);
        {
            const auto hold = co_await this_task::hold_abort();
            at = 1;
            const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::deferred));
            EXPECT_FALSE(error);
            ++passed;
        }
        timer.expires_at(asio::steady_timer::time_point::max());
        co_await timer.async_wait(asio::deferred); // and not even begun
        co_return 0;
    });
    home.run_until([&] { return at == 1; });
    handle.abort();
    handle.abort();
    EXPECT_EQ(cancelled_as(home.next_of(set)), cancel_reason::aborted);
    EXPECT_EQ(passed, 1);
}

TEST_P(HoldAbort, EndsTheTaskWhenItFirstWaitsAfterTheLastOfSeveral)
{
    const auto result = abort_at(1, [&]() -> task<int> {
        auto outer = std::optional(co_await this_task::hold_abort());
        {
            const auto inner = co_await this_task::hold_abort();
            co_await reach(1);
        }
        co_await this_task::yield();
        ++passed;
        auto moved = std::optional(std::move(*outer));
        outer.reset();
        co_await this_task::yield();
        ++passed;
        moved.reset();
        ++passed; // runs on to where it waits
        co_await this_task::sleep_for(1ns);
        ++passed;
        co_return 0;
    });
    EXPECT_EQ(cancelled_as(result), cancel_reason::aborted);
    EXPECT_EQ(passed, 3);
}

TEST_P(HoldAbort, IsOverWithAnExceptionThatLeavesTheSection)
{
    const auto result = abort_at(1, [&]() -> task<int> {
        try {
            const auto hold = co_await this_task::hold_abort();
            co_await reach(1);
            throw std::runtime_error("left");
        } catch (const std::runtime_error&) {
            ++passed;
        }
        co_await this_task::yield();
        ++passed;
        co_return 0;
    });
    EXPECT_EQ(cancelled_as(result), cancel_reason::aborted);
    EXPECT_EQ(passed, 1);
}

TEST_P(HoldAbort, ATaskThatEndsInTheSectionKeepsItsValue)
{
    const auto result = abort_at(1, [&]() -> task<int> {
        const auto hold = co_await this_task::hold_abort();
        co_await reach(1);
        co_return 6;
    });
    EXPECT_EQ(result.value(), 6);
}

TEST_P(HoldAbort, HoldsBackAnAbortThatCameBeforeIfTheTaskHasNotWaitedSince)
{
    std::optional<abort_handle> itself;
    join_set<int> set(home.executor());
    itself = set.spawn([&]() -> task<int> {
        while (at != 1)
            co_await this_task::yield();
        itself->abort();
        {
            const auto hold = co_await this_task::hold_abort();
            co_await this_task::yield();
            co_await this_task::sleep_for(1ns);
            ++passed;
        }
        co_await this_task::sleep_for(1ns);
        ++passed;
        co_return 0;
    });
    at = 1;
    EXPECT_EQ(cancelled_as(home.next_of(set)), cancel_reason::aborted);
    EXPECT_EQ(passed, 1);
}

TEST_P(HoldAbort, DoesNotHoldBackAnAbortThatComesAfter)
{
    const auto result = abort_at(1, [&]() -> task<int> {
        {
            const auto hold = co_await this_task::hold_abort();
            co_await this_task::yield();
        }
        co_await reach(1);
        co_await this_task::sleep_forever();
        co_return ++passed;
    });
    EXPECT_EQ(cancelled_as(result), cancel_reason::aborted);
    EXPECT_EQ(passed, 0);
}

TEST_P(HoldAbort, ASleepWithoutEndInTheSectionNeverEnds)
{
    std::optional<join_set<int>> set(home.executor());
    const abort_handle handle = set->spawn([&]() -> task<int> {
        const auto hold = co_await this_task::hold_abort();
        at = 1;
        co_await this_task::sleep_forever();
        ++passed;
        co_return 0;
    });
    home.run_until([&] { return at == 1; });
    handle.abort();
    for (int i = 0; i != 20; ++i)
        home.outcome_of<int>([]() -> task<int> {
            co_await this_task::yield();
            co_return 0;
        });
    EXPECT_EQ(passed, 0);
    EXPECT_FALSE(handle.is_finished());
    set.reset(); // the end of the home ends it
}

TEST_P(HoldAbort, IsWaitedForByAShutdown)
{
    join_map<int, int> map(home.executor());
    map.spawn(1, [&]() -> task<int> {
        const tracked here(frames);
        const auto hold = co_await this_task::hold_abort();
        at = 1;
        for (int i = 0; i != 10; ++i)
            co_await this_task::yield();
        co_return 1;
    });
    home.run_until([&] { return at == 1; });
    const auto down = std::make_shared<std::promise<int>>();
    map.async_shutdown([&, down](boost::system::error_code) { down->set_value(frames.alive()); });
    EXPECT_EQ(home.get(down->get_future()), 0);
}

// -- being asked -----------------------------------------------------------------------------------------------------

class StopToken : public each_home {};

JOINERY_TEST_ON_EACH_HOME(StopToken);

TEST_P(StopToken, IsTheSameForAllTasksOfASetAndHearsOfNoAbort)
{
    std::atomic<int> asked{0};
    std::atomic<int> waiting{0};
    join_map<int, int> map(home.executor());
    const auto obey = [&]() -> task<int> {
        const std::stop_token token = co_await this_task::stop_token();
        EXPECT_TRUE(token.stop_possible());
        const auto again = [&]() -> task<std::stop_token> { co_return co_await this_task::stop_token(); };
        EXPECT_EQ(co_await again(), token);
        std::atomic<bool> heard{false}; // the token tells that it was asked to stop before it calls
        const std::stop_callback callback(token, [&] {
            ++asked;
            heard = true;
        });
        ++waiting;
        while (!heard)
            co_await this_task::yield();
        co_return 1;
    };
    for (int i = 0; i != 3; ++i)
        map.spawn(i, obey, {.deadline = std::chrono::steady_clock::now() + 1h}); // which stands between
    map.spawn(3, obey);
    home.run_until([&] { return waiting == 4; });
    map.abort(0);
    home.run_until([&] { return map.find(0)->is_finished(); });
    EXPECT_EQ(asked, 0);
    const auto down = std::make_shared<std::promise<int>>();
    map.async_shutdown(1h, 1h, [down](boost::system::error_code, auto) { down->set_value(0); });
    EXPECT_EQ(asked, 3); // at once, on this thread
    home.get(down->get_future());
}

} // namespace
