// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What can be spawned, on each kind of home, and what cannot.

#include <homes.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/block_on.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/task.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace joinery;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using boost::system::error_code;
using boost::system::system_error;
using test::give;
using test::journal;
using test::tracked;
using names = std::vector<std::string>;

// -- what work yields --------------------------------------------------------------------------------------

struct numbered {
    explicit numbered(int given)
        : number(given)
    {
    }

    const int number;
};

asio::awaitable<int> give_awaitable(int value)
{
    co_await asio::post(asio::use_awaitable);
    co_return value;
}

int seven()
{
    return 7;
}

/// An operation that completes with given values at once.
template<class Signature, class... Values>
auto async_give_now(Values... values)
{
    return asio::async_initiate<const asio::deferred_t, Signature>(
        [](auto handler, Values... given) { std::move(handler)(std::move(given)...); }, asio::deferred,
        std::move(values)...);
}

static_assert(std::is_same_v<detail::work_value<task<int>>, int>);
static_assert(std::is_same_v<detail::work_value<asio::awaitable<std::string>>, std::string>);
static_assert(std::is_same_v<detail::work_value<task<void> (*)()>, void>);
static_assert(std::is_same_v<detail::work_value<int (&)()>, int>);
static_assert(std::is_same_v<detail::work_value<std::function<const std::string&()>>, std::string>);
static_assert(
    std::is_same_v<detail::work_value<decltype(async_give_now<void(error_code, int)>(error_code(), 1))>, int>);
static_assert(std::is_same_v<detail::work_value<decltype(async_give_now<void(error_code)>(error_code()))>, void>);
static_assert(
    std::is_same_v<detail::work_value<decltype(async_give_now<void(int, long)>(1, 2l))>, std::tuple<int, long>>);

class Work : public test::each_home {
public:
    template<class V, class Given>
    V run(Given&& given, std::source_location where = std::source_location::current())
    {
        return home.outcome_of<V>(std::forward<Given>(given), where).value();
    }
};

JOINERY_TEST_ON_EACH_HOME(Work);

TEST_P(Work, MayBeATaskOrAnAwaitable)
{
    EXPECT_EQ(run<int>(give(1)), 1);
    EXPECT_EQ(run<int>(give_awaitable(2)), 2);
    task<int> named = give(3);
    EXPECT_EQ(run<int>(std::move(named)), 3);
    EXPECT_FALSE(named) << "it was spawned"; // NOLINT(bugprone-use-after-move)
}

TEST_P(Work, MayBeAFunctionThatReturnsEither)
{
    EXPECT_EQ(run<int>([] { return give(1); }), 1);
    EXPECT_EQ(run<int>([] { return give_awaitable(2); }), 2);
    EXPECT_EQ(run<int>([captured = 3]() -> task<int> { co_return captured; }), 3);
    EXPECT_EQ(run<int>([captured = 4]() -> asio::awaitable<int> { co_return captured; }), 4);
    EXPECT_EQ(run<int>(std::function([] { return give(5); })), 5);
}

TEST_P(Work, MayBeAFunctionThatReturnsAValueAndRunsOnTheHome)
{
    const auto test_thread = std::this_thread::get_id();
    EXPECT_EQ(run<int>(seven), 7);
    EXPECT_EQ(run<int>(&seven), 7);
    EXPECT_EQ(run<int>([count = 1]() mutable { return ++count; }), 2);
    EXPECT_EQ(*run<std::unique_ptr<int>>([held = std::make_unique<int>(3)]() mutable { return std::move(held); }), 3);
    EXPECT_EQ(run<numbered>([] { return numbered(4); }).number, 4);
    const auto thread = run<std::thread::id>([] { return std::this_thread::get_id(); });
    EXPECT_EQ(thread == test_thread, home.is_on_this_thread());
    EXPECT_THROW(run<int>([]() -> int { throw std::domain_error("mine"); }), std::domain_error);
}

TEST_P(Work, MayBeAnOperation)
{
    asio::steady_timer timer(home.executor(), 0ms);
    run<void>(timer.async_wait(asio::deferred));
    EXPECT_EQ(run<int>(async_give_now<void(error_code, int)>(error_code(), 1)), 1);
    EXPECT_EQ((run<std::tuple<int, long>>(async_give_now<void(int, long)>(1, 2l))), std::tuple(1, 2l));
    EXPECT_EQ(*run<std::unique_ptr<int>>(async_give_now<void(std::unique_ptr<int>)>(std::make_unique<int>(3))), 3);
    EXPECT_THROW(run<void>(async_give_now<void(error_code)>(asio::error::eof)), system_error);
    const auto failed = std::make_exception_ptr(std::domain_error("mine"));
    EXPECT_THROW(run<int>(async_give_now<void(std::exception_ptr, int)>(failed, 1)), std::domain_error);
    const auto outcome = run<std::tuple<error_code>>(timer.async_wait(asio::as_tuple(asio::deferred)));
    EXPECT_FALSE(std::get<0>(outcome));
    error_code error = asio::error::eof;
    run<void>(timer.async_wait(asio::redirect_error(asio::deferred, error)));
    EXPECT_FALSE(error);
    asio::thread_pool elsewhere(1);
    run<void>(timer.async_wait(asio::bind_executor(elsewhere, asio::deferred)));
}

TEST_P(Work, IsConvertedToTheValueOfTheSet)
{
    struct base {
        virtual ~base() = default;
    };
    struct derived : base {};
    EXPECT_EQ(run<long>(give(1)), 1l);
    EXPECT_EQ(run<long>(give_awaitable(2)), 2l);
    EXPECT_EQ(run<long>([] { return give(3); }), 3l);
    EXPECT_EQ(run<long>([] { return 4; }), 4l);
    EXPECT_EQ(run<long>(async_give_now<void(int)>(5)), 5l);
    EXPECT_EQ(run<std::string>([] { return "six"; }), "six");
    EXPECT_NE(run<std::unique_ptr<base>>([] { return std::make_unique<derived>(); }), nullptr);
    const std::string seven = "seven";
    EXPECT_EQ(run<std::string>([&seven]() -> const std::string& { return seven; }), "seven");
}

TEST_P(Work, OfAnyValueCanBeSpawnedWhereNoneIsWanted)
{
    int calls = 0;
    const auto count = [&calls] { return ++calls; };
    struct unmovable {
        unmovable() = default;
        unmovable(unmovable&&) = delete;
    };
    run<void>(count);
    run<void>([&]() -> task<int> { co_return count(); });
    run<void>([&]() -> asio::awaitable<std::string> { co_return std::string(std::size_t(count()), 'x'); });
    run<void>([&] {
        count();
        return unmovable();
    });
    run<void>(give(1));
    run<void>(give_awaitable(2));
    run<void>(async_give_now<void(error_code, std::unique_ptr<int>)>(error_code(), nullptr));
    EXPECT_EQ(calls, 4);
    EXPECT_THROW(run<void>([]() -> int { throw std::domain_error("mine"); }), std::domain_error);
    EXPECT_THROW(run<void>(async_give_now<void(error_code, int)>(asio::error::eof, 1)), system_error);
}

TEST_P(Work, LivesAsLongAsItsTaskAndNoLonger)
{
    journal events;
    const auto expect_all_gone = [&] { EXPECT_EQ(events.alive(), 0); };
    const auto check = [](const tracked& held, journal& in) { EXPECT_EQ(in.alive(), 1) << held.name(); };
    run<void>([&, held = tracked(events, "for a task")]() -> task<void> {
        co_await this_task::sleep_for(0ms);
        check(held, events);
    });
    expect_all_gone();
    run<void>([&, held = tracked(events, "for an awaitable")]() -> asio::awaitable<void> {
        co_await asio::post(asio::use_awaitable);
        check(held, events);
    });
    expect_all_gone();
    run<void>([&, held = tracked(events, "for an operation")] {
        check(held, events);
        return asio::post(asio::deferred);
    });
    expect_all_gone();
    run<void>([&, held = std::make_shared<tracked>(events, "for a value")] { check(*held, events); });
    expect_all_gone();
    EXPECT_EQ(events.begun(), 4);
}

TEST_P(Work, GivenAsAnLvalueIsCopiedAndCanBeSpawnedAgain)
{
    const auto shared = std::make_shared<int>(5);
    const auto function = [shared]() -> task<int> { co_return *shared; };
    auto operation = async_give_now<void(int)>(6);
    for (int i = 0; i != 2; ++i) {
        EXPECT_EQ(run<int>(function), 5);
        EXPECT_EQ(run<int>(operation), 6);
    }
    EXPECT_EQ(shared.use_count(), 2);
}

// -- what is no work ---------------------------------------------------------------------------------------

/// Tries each way to spawn `make()` under a key in use and under a new one.
template<class F>
void expect_refused(F&& make, std::string_view what)
{
    SCOPED_TRACE(what);
    asio::io_context context;
    asio::io_context other;
    local_set local;
    join_map<int, int> map(context);
    const abort_handle handle = map.spawn(1, give(1));
    for (const int key : {1, 2}) {
        EXPECT_THROW(map.spawn(key, make()), std::invalid_argument);
        EXPECT_THROW(map.spawn_on(other, key, make()), std::invalid_argument);
        EXPECT_THROW(map.spawn_local_on(local, key, make()), std::invalid_argument);
    }
    EXPECT_THROW(join_set<int>(context).spawn(make()), std::invalid_argument);
    EXPECT_THROW(block_on(make()), std::invalid_argument);
    EXPECT_THROW(local.run_until(make()), std::invalid_argument);
    EXPECT_EQ(map.keys(), std::vector{1});
    EXPECT_EQ(map.find(1)->id(), handle.id());
    context.poll();
    EXPECT_EQ(map.try_join_next()->result.value(), 1) << "the task that was there";
    EXPECT_TRUE(map.empty());
}

TEST(WorkThatIsNull, IsRefusedAndNothingChanges)
{
    using function_pointer = int (*)();
    using task_pointer = task<int> (*)();
    expect_refused([] { return function_pointer(); }, "null pointer to a function");
    expect_refused([] { return task_pointer(); }, "null pointer to a coroutine");
    expect_refused([] { return std::function<int()>(); }, "empty std::function");
    expect_refused([] { return std::function<task<int>()>(); }, "empty std::function of a coroutine");
    expect_refused([] { return std::function<asio::awaitable<int>()>(); }, "empty std::function of an awaitable");
    expect_refused([] { return task<int>(); }, "no task");
    expect_refused([] { return task<short>(); }, "no task of another value");
    expect_refused(
        [] {
            task<int> moved = give(1);
            task<int> taken = std::move(moved);
            return moved; // NOLINT(bugprone-use-after-move)
        },
        "task that was moved from");
    expect_refused([] { return asio::awaitable<int>(); }, "no awaitable");
}

TEST(WorkThatIsNull, IsRefusedByABlockingPoolToo)
{
    asio::io_context context;
    blocking_pool pool;
    join_map<int, int> map(context);
    const abort_handle handle = map.spawn(1, give(1));
    for (const int key : {1, 2}) {
        EXPECT_THROW(map.spawn_blocking(key, std::function<int()>()), std::invalid_argument);
        EXPECT_THROW(map.spawn_blocking_on(pool, key, std::function<int(std::stop_token)>()), std::invalid_argument);
        EXPECT_THROW(map.spawn_blocking_on(pool, key, static_cast<int (*)()>(nullptr)), std::invalid_argument);
    }
    EXPECT_EQ(pool.thread_count(), 0u);
    EXPECT_EQ(map.size(), 1u);
    EXPECT_FALSE(handle.is_finished());
}

// -- block_on ----------------------------------------------------------------------------------------------

TEST(BlockOnWork, YieldsWhatEachKindOfWorkYields)
{
    static_assert(std::is_same_v<decltype(block_on(give(1))), int>);
    static_assert(std::is_void_v<decltype(block_on([] {}))>);
    EXPECT_EQ(block_on(give(1)), 1);
    EXPECT_EQ(block_on(give_awaitable(2)), 2);
    EXPECT_EQ(block_on([]() -> task<int> { co_return 3; }), 3);
    EXPECT_EQ(block_on([] { return give_awaitable(4); }), 4);
    EXPECT_EQ(block_on([] { return 5; }), 5);
    EXPECT_EQ(block_on(seven), 7);
    EXPECT_EQ(block_on(async_give_now<void(error_code, int)>(error_code(), 6)), 6);
    EXPECT_EQ(*block_on([] { return std::make_unique<int>(8); }), 8);
    EXPECT_EQ(block_on([]() -> asio::awaitable<numbered> { co_return numbered(9); }).number, 9);
    block_on([]() -> task<> { co_await this_task::sleep_for(0ms); });
}

TEST(BlockOnWork, ThrowsWhatTheWorkThrows)
{
    EXPECT_THROW(block_on([]() -> task<int> {
                     co_await this_task::yield();
                     throw std::domain_error("mine");
                 }),
                 std::domain_error);
    EXPECT_THROW(block_on([]() -> asio::awaitable<void> {
                     co_await asio::post(asio::use_awaitable);
                     throw std::domain_error("mine");
                 }),
                 std::domain_error);
    EXPECT_THROW(block_on([]() -> int { throw std::domain_error("mine"); }), std::domain_error);
    EXPECT_THROW(block_on(async_give_now<void(error_code)>(asio::error::eof)), system_error);
}

TEST(BlockOnWork, ThrowsTaskCancelledWhenTheWorkCanNeverEnd)
{
    try {
        block_on(asio::async_initiate<const asio::deferred_t, void(error_code)>([](auto) {}, asio::deferred));
        FAIL() << "nothing was thrown";
    } catch (const task_cancelled& cancelled) {
        EXPECT_EQ(cancelled.reason(), cancel_reason::executor_gone);
    }
}

} // namespace
