// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What a task asks of its home, how it is aborted there, and what it leaves behind, on each kind of home.

#include <homes.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <ostream>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace joinery;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using std::chrono::steady_clock;
using test::journal;
using test::tracked;
using names = std::vector<std::string>;

// -- asking ------------------------------------------------------------------------------------------------

class ThisTask : public test::each_home {};

JOINERY_TEST_ON_EACH_HOME(ThisTask);

task<task_id> own_id()
{
    co_return co_await this_task::id();
}

TEST_P(ThisTask, IdIsThatOfTheSpawnedTaskInEachPartOfIt)
{
    join_set<std::vector<task_id>> set(home.executor());
    const abort_handle handle = set.spawn([]() -> task<std::vector<task_id>> {
        std::vector<task_id> ids;
        ids.push_back(co_await this_task::id());
        ids.push_back(co_await own_id());
        co_await this_task::yield();
        ids.push_back(co_await own_id());
        co_return ids;
    });
    const auto ids = home.next_of(set).value();
    EXPECT_EQ(ids, std::vector(3, handle.id()));
}

TEST_P(ThisTask, TheExecutorRunsWhatIsPostedToItBesideTheTask)
{
    const auto test_thread = std::this_thread::get_id();
    home.outcome_of<void>([&]() -> task<void> {
        co_await this_task::sleep_for(0ms);
        const asio::any_io_executor here = co_await asio::this_coro::executor;
        int unguarded = 0;
        for (int i = 0; i != 100; ++i) {
            asio::post(here, [&unguarded] { ++unguarded; });
            ++unguarded;
            co_await asio::post(here, asio::deferred);
        }
        EXPECT_EQ(unguarded, 200);
        EXPECT_TRUE(!home.is_on_this_thread() || std::this_thread::get_id() == test_thread);
    });
}

TEST_P(ThisTask, YieldLetsOthersRun)
{
    join_set<int> set(home.executor());
    std::atomic<bool> other_ran = false;
    set.spawn([&]() -> task<int> {
        int yields = 0;
        for (; !other_ran; ++yields)
            co_await this_task::yield();
        co_return yields;
    });
    set.spawn([&]() -> task<int> {
        co_await this_task::yield();
        other_ran = true;
        co_return 1;
    });
    EXPECT_TRUE(home.next_of(set).has_value());
    EXPECT_TRUE(home.next_of(set).has_value());
}

TEST_P(ThisTask, TasksThatYieldTakeTurnsOnOneThread)
{
    if (!home.is_on_this_thread())
        GTEST_SKIP() << "more than one thread";
    join_set<void> set(home.executor());
    std::string turns;
    for (const char name : {'a', 'b', 'c'})
        set.spawn([&turns, name]() -> task<void> {
            for (int i = 0; i != 3; ++i) {
                turns += name;
                co_await this_task::yield();
            }
        });
    for (int i = 0; i != 3; ++i)
        home.next_of(set);
    EXPECT_EQ(turns, "abcabcabc");
}

TEST_P(ThisTask, SleepingForNoTimeSuspendsAndGoesOn)
{
    join_set<int> set(home.executor());
    std::atomic<int> others = 0;
    set.spawn([&]() -> task<int> {
        for (const auto none : {0ns, -1ns, std::chrono::nanoseconds::min()})
            co_await this_task::sleep_for(none);
        co_await this_task::sleep_for(std::chrono::hours::min());
        co_await this_task::sleep_for(std::chrono::duration<double>(-1e300));
        co_await this_task::sleep_until(steady_clock::time_point::min());
        co_await this_task::sleep_until(steady_clock::now());
        co_return others.load();
    });
    set.spawn([&]() -> task<int> { co_return -++others; });
    const int sum = home.next_of(set).value() + home.next_of(set).value();
    EXPECT_TRUE(sum == 0 || !home.is_on_this_thread()) << "the sleeper did not let the other run";
}

TEST_P(ThisTask, SleepsNotLessThanAsked)
{
    const auto slept = home.outcome_of<steady_clock::duration>([]() -> task<steady_clock::duration> {
        const auto start = steady_clock::now();
        co_await this_task::sleep_for(1ms);
        co_await this_task::sleep_for(std::chrono::duration<double, std::milli>(0.5));
        co_await this_task::sleep_until(steady_clock::now() + 1ms);
        co_return steady_clock::now() - start;
    });
    EXPECT_GE(slept.value(), 2500us);
}

TEST_P(ThisTask, AbortRequestedTellsWhileTheTaskRunsOn)
{
    journal events;
    join_set<int> set(home.executor());
    std::promise<abort_handle> own_handle;
    std::atomic<bool> told = false;
    const abort_handle handle = set.spawn([&]() -> task<int> {
        const tracked local(events, "local");
        EXPECT_FALSE(co_await this_task::abort_requested());
        test::get(own_handle.get_future()).abort();
        EXPECT_TRUE(co_await this_task::abort_requested());
        EXPECT_EQ(co_await own_id(), co_await this_task::id()) << "a task that does not suspend is no end";
        told = true;
        co_await this_task::yield();
        ADD_FAILURE() << "it goes on behind an asynchronous await";
        co_return 1;
    });
    own_handle.set_value(handle);
    EXPECT_EQ(test::cancelled_as(home.next_of(set)), cancel_reason::aborted);
    EXPECT_TRUE(told);
    EXPECT_EQ(events.alive(), 0);
}

// -- aborting ----------------------------------------------------------------------------------------------

enum class where_it_waits {
    in_timer,
    in_tuple,
    elsewhere,
    in_sleep,
    in_endless_sleep,
    forever,
    in_yields,
    in_awaitable,
    in_function
};

std::ostream& operator<<(std::ostream& out, where_it_waits kind)
{
    constexpr const char* kinds[] = {"Timer",   "AsTuple",   "BoundElsewhere", "SleepFor", "SleepUntilTheEnd",
                                     "Forever", "YieldLoop", "Awaitable",      "Function"};
    return out << kinds[static_cast<int>(kind)];
}

class TaskAbort : public testing::TestWithParam<std::tuple<test::home_kind, where_it_waits>> {
protected:
    test::any_home home{std::get<0>(GetParam())};
    journal events;
    asio::thread_pool other{1};

    task<void> nested(where_it_waits kind)
    {
        const tracked local(events, "nested");
        asio::steady_timer timer(co_await asio::this_coro::executor, 24h);
        switch (kind) {
        case where_it_waits::in_timer:
            co_await timer.async_wait(asio::deferred);
            break;
        case where_it_waits::in_tuple:
            co_await timer.async_wait(asio::as_tuple(asio::deferred));
            break;
        case where_it_waits::elsewhere:
            co_await timer.async_wait(asio::bind_executor(other, asio::deferred));
            break;
        case where_it_waits::in_sleep:
            co_await this_task::sleep_for(24h);
            break;
        case where_it_waits::in_endless_sleep:
            co_await this_task::sleep_for(std::chrono::hours::max());
            co_await this_task::sleep_for(std::chrono::duration<double>::max());
            co_await this_task::sleep_until(steady_clock::time_point::max());
            break;
        case where_it_waits::forever:
            co_await this_task::sleep_forever();
            break;
        case where_it_waits::in_yields:
            for (;;)
                co_await this_task::yield();
            break;
        case where_it_waits::in_awaitable:
            co_await [](asio::steady_timer& forever) -> asio::awaitable<void> {
                co_await forever.async_wait(asio::use_awaitable);
            }(timer);
            break;
        case where_it_waits::in_function:
            const auto function = []() -> task<void> { co_await this_task::sleep_forever(); };
            co_await function;
            break;
        }
        ADD_FAILURE() << "the nested task goes on";
    }

    task<int> body(where_it_waits kind, tracked)
    {
        const tracked outer(events, "outer");
        try {
            const tracked inner(events, "inner");
            co_await nested(kind);
        } catch (...) {
            ADD_FAILURE() << "the abort can be caught";
        }
        ADD_FAILURE() << "the task goes on";
        co_return 1;
    }
};

INSTANTIATE_TEST_SUITE_P(
    Homes, TaskAbort,
    testing::Combine(testing::Values(test::home_kind::io_context, test::home_kind::strand, test::home_kind::local_set,
                                     test::home_kind::thread_pool, test::home_kind::runtime),
                     testing::Values(where_it_waits::in_timer, where_it_waits::in_tuple, where_it_waits::elsewhere,
                                     where_it_waits::in_sleep, where_it_waits::in_endless_sleep,
                                     where_it_waits::forever, where_it_waits::in_yields, where_it_waits::in_awaitable,
                                     where_it_waits::in_function)),
    [](const auto& tested) {
        return testing::PrintToString(std::get<0>(tested.param)) + testing::PrintToString(std::get<1>(tested.param));
    });

TEST_P(TaskAbort, DestroysWhatWaitsInnermostFirstOnItsHomeAndCannotBeCaught)
{
    const auto test_thread = std::this_thread::get_id();
    join_set<int> set(home.executor());
    const abort_handle handle = set.spawn(body(std::get<1>(GetParam()), tracked(events, "parameter")));
    home.run_until([&] { return events.begun() == 4; });
    EXPECT_TRUE(handle.abort());
    EXPECT_EQ(test::cancelled_as(home.next_of(set)), cancel_reason::aborted);
    EXPECT_EQ(events.ended(), (names{"nested", "inner", "outer", "parameter"}));
    for (const auto thread : events.threads())
        EXPECT_EQ(thread == test_thread, home.is_on_this_thread());
}

task<int> deep(journal& events, int level)
{
    const tracked local(events, std::to_string(level));
    if (level != 0)
        co_return co_await deep(events, level - 1);
    co_await this_task::sleep_forever();
    co_return 0;
}

TEST(TaskAbortDeep, DestroysAThousandNestedTasksInnermostFirst)
{
    test::any_home home(test::home_kind::strand);
    journal events;
    join_set<int> set(home.executor());
    const abort_handle handle = set.spawn(deep(events, 999));
    home.run_until([&] { return events.begun() == 1000; });
    handle.abort();
    EXPECT_EQ(test::cancelled_as(home.next_of(set)), cancel_reason::aborted);
    names expected;
    for (int level = 0; level != 1000; ++level)
        expected.push_back(std::to_string(level));
    EXPECT_EQ(events.ended(), expected);
}

// -- lifetimes ---------------------------------------------------------------------------------------------

class TaskLifetime : public test::each_home {};

JOINERY_TEST_ON_EACH_HOME(TaskLifetime);

TEST_P(TaskLifetime, OnlyTheResultOfAFinishedTaskWaitsToBeJoined)
{
    journal events;
    join_set<tracked> set(home.executor());
    std::atomic<std::thread::id> body_thread;
    const auto body = [&](tracked) -> task<tracked> {
        const tracked local(events, "local");
        co_await this_task::yield();
        co_await this_task::sleep_for(std::chrono::milliseconds(0));
        body_thread = std::this_thread::get_id();
        co_return tracked(events, "result");
    };
    const abort_handle handle =
        set.spawn([&, function = tracked(events, "function")] { return body(tracked(events, "parameter")); });
    home.run_until([&] { return handle.is_finished(); });
    EXPECT_EQ(events.ended(), (names{"local", "parameter", "function"}));
    EXPECT_EQ(events.threads(), std::vector(3, body_thread.load())) << "destroyed elsewhere than the task ran";
    EXPECT_EQ(events.alive(), 1) << "the result";
    EXPECT_EQ(home.next_of(set).value().name(), "result");
    EXPECT_EQ(events.alive(), 0);
}

} // namespace
