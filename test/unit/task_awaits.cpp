// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What a task can await, on each kind of home.

#include <homes.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/bad_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

namespace {

using namespace joinery;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using boost::system::error_code;
using boost::system::system_error;
using test::journal;
using test::tracked;

const error_code refused = asio::error::connection_refused;

/// An operation that completes with given values, by a post to its handler's executor.
template<class Signature, class Token, class... Values>
auto async_give(Token&& token, Values... values)
{
    return asio::async_initiate<Token, Signature>(
        [](auto handler, Values... given) {
            const auto executor = asio::get_associated_executor(handler);
            asio::post(executor, [handler = std::move(handler), all = std::tuple(std::move(given)...)]() mutable {
                std::apply([&](Values&... each) { std::move(handler)(std::move(each)...); }, all);
            });
        },
        token, std::move(values)...);
}

/// The same, within the initiation.
template<class Signature, class... Values>
auto async_give_at_once(Values... values)
{
    return asio::async_initiate<const asio::deferred_t, Signature>(
        [](auto handler, Values... given) { std::move(handler)(std::move(given)...); }, asio::deferred,
        std::move(values)...);
}

struct awaited_number {
    explicit awaited_number(int given)
        : number(given)
    {
    }

    int number;
};

class TaskAwait : public test::each_home {
public:
    /// What a task yields. @throws what it throws
    template<class V, class Work>
    V run(Work&& work, std::source_location where = std::source_location::current())
    {
        return home.outcome_of<V>(std::forward<Work>(work), where).value();
    }
};

JOINERY_TEST_ON_EACH_HOME(TaskAwait);

// -- operations --------------------------------------------------------------------------------------------

TEST_P(TaskAwait, ATimer)
{
    run<void>([&]() -> task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 0ms);
        co_await timer.async_wait(asio::deferred);
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::deferred);
        EXPECT_LE(timer.expiry(), std::chrono::steady_clock::now());
    });
}

TEST_P(TaskAwait, AnOperationYieldsWhatItsSignatureHasBehindItsError)
{
    run<void>([]() -> task<void> {
        co_await async_give<void()>(asio::deferred);
        co_await async_give<void(error_code)>(asio::deferred, error_code());
        co_await async_give<void(std::exception_ptr)>(asio::deferred, std::exception_ptr());
        const auto one = co_await async_give<void(int)>(asio::deferred, 1);
        static_assert(std::is_same_v<decltype(one), const int>);
        EXPECT_EQ(one, 1);
        EXPECT_EQ(co_await async_give<void(error_code, int)>(asio::deferred, error_code(), 2), 2);
        EXPECT_EQ(co_await async_give<void(std::exception_ptr, int)>(asio::deferred, std::exception_ptr(), 3), 3);
        const auto several = co_await async_give<void(int, std::string)>(asio::deferred, 4, std::string("four"));
        EXPECT_EQ(several, std::tuple(4, "four"));
        const auto behind = co_await async_give<void(error_code, int, std::string)>(asio::deferred, error_code(), 5,
                                                                                    std::string("five"));
        static_assert(std::is_same_v<decltype(behind), const std::tuple<int, std::string>>);
        EXPECT_EQ(behind, std::tuple(5, "five"));
    });
}

TEST_P(TaskAwait, AnOperationMayYieldWhatCannotBeCopiedOrMadeFromNothing)
{
    run<void>([]() -> task<void> {
        const auto moved = co_await async_give<void(error_code, std::unique_ptr<int>)>(asio::deferred, error_code(),
                                                                                       std::make_unique<int>(6));
        EXPECT_EQ(*moved, 6);
        const auto made =
            co_await async_give<void(error_code, awaited_number)>(asio::deferred, error_code(), awaited_number(7));
        EXPECT_EQ(made.number, 7);
    });
}

TEST_P(TaskAwait, AnOperationsErrorIsThrown)
{
    run<void>([]() -> task<void> {
        try {
            co_await async_give<void(error_code, int)>(asio::deferred, refused, 1);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const system_error& error) {
            EXPECT_EQ(error.code(), refused);
        }
        const auto exception = std::make_exception_ptr(std::domain_error("its own"));
        try {
            co_await async_give<void(std::exception_ptr, int)>(asio::deferred, exception, 1);
            ADD_FAILURE() << "nothing was thrown";
        } catch (const std::domain_error& error) {
            EXPECT_STREQ(error.what(), "its own");
        }
    });
    const auto uncaught = home.outcome_of<int>(async_give<void(error_code, int)>(asio::deferred, refused, 1));
    EXPECT_THROW(uncaught.value(), system_error);
}

TEST_P(TaskAwait, AsTupleYieldsTheErrorToo)
{
    run<void>([]() -> task<void> {
        const auto [error, number] =
            co_await async_give<void(error_code, int)>(asio::as_tuple(asio::deferred), refused, 8);
        EXPECT_EQ(error, refused);
        EXPECT_EQ(number, 8);
        const auto only = co_await async_give<void(error_code)>(asio::as_tuple(asio::deferred), refused);
        EXPECT_EQ(std::get<0>(only), refused);
    });
}

TEST_P(TaskAwait, RedirectErrorStoresTheError)
{
    run<void>([]() -> task<void> {
        error_code error;
        const int number =
            co_await async_give<void(error_code, int)>(asio::redirect_error(asio::deferred, error), refused, 9);
        EXPECT_EQ(number, 9);
        EXPECT_EQ(error, refused);
        asio::steady_timer timer(co_await asio::this_coro::executor, 0ms);
        co_await timer.async_wait(asio::redirect_error(asio::deferred, error));
        EXPECT_FALSE(error);
    });
}

TEST_P(TaskAwait, AnOperationBoundToAnotherExecutorCompletesThereAndTheTaskComesHome)
{
    asio::thread_pool elsewhere(1);
    const auto test_thread = std::this_thread::get_id();
    run<void>([&]() -> task<void> {
        for (int i = 0; i != 20; ++i) {
            co_await this_task::yield();
            const auto handler_ran_on = co_await asio::post(asio::bind_executor(
                elsewhere, asio::deferred([] { return asio::deferred.values(std::this_thread::get_id()); })));
            EXPECT_NE(handler_ran_on, test_thread);
            EXPECT_FALSE(elsewhere.get_executor().running_in_this_thread());
            EXPECT_NE(std::this_thread::get_id(), handler_ran_on);
            EXPECT_TRUE(!home.is_on_this_thread() || std::this_thread::get_id() == test_thread);
        }
    });
}

TEST_P(TaskAwait, AnInitiationThatThrowsThrowsInTheTask)
{
    const auto fail = [](auto token) {
        return asio::async_initiate<decltype(token), void(error_code)>(
            [](auto) { throw std::domain_error("not today"); }, token);
    };
    run<void>([&]() -> task<void> {
        for (int i = 0; i != 3; ++i) {
            try {
                co_await fail(asio::deferred);
                ADD_FAILURE() << "nothing was thrown";
            } catch (const std::domain_error& error) {
                EXPECT_STREQ(error.what(), "not today");
            }
        }
        co_await this_task::sleep_for(0ms); // the task is none the worse for it
    });
    EXPECT_THROW(run<void>(fail(asio::deferred)), std::domain_error);
}

TEST_P(TaskAwait, OperationsThatCompleteWithinTheirInitiationDoNotGrowTheStack)
{
    EXPECT_EQ(run<int>([]() -> task<int> {
                  int sum = 0;
                  for (int i = 0; i != 100'000; ++i)
                      sum += co_await async_give_at_once<void(error_code, int)>(error_code(), 1);
                  co_return sum;
              }),
              100'000);
    EXPECT_THROW(run<int>(async_give_at_once<void(error_code, int)>(refused, 1)), system_error);
}

TEST_P(TaskAwait, AnOperationThatDropsItsHandlerEndsTheTaskAsExecutorGone)
{
    std::shared_ptr<void> kept; // the handler, for later
    const auto drop_at_once = [](auto token) {
        return asio::async_initiate<decltype(token), void(error_code)>([](auto) {}, token);
    };
    const auto keep = [&](auto token) {
        return asio::async_initiate<decltype(token), void(error_code)>(
            [&](auto handler) { kept = std::make_shared<decltype(handler)>(std::move(handler)); }, token);
    };
    const auto waits_for = [](auto operation, journal& events) -> task<int> {
        const tracked local(events, "local");
        try {
            co_await std::move(operation);
        } catch (...) {
            ADD_FAILURE() << "an exception, for an operation that never ended";
        }
        ADD_FAILURE() << "the task goes on without its operation";
        co_return 1;
    };
    journal events;
    const auto first = home.outcome_of<int>(waits_for(drop_at_once(asio::deferred), events));
    EXPECT_EQ(test::cancelled_as(first), cancel_reason::executor_gone);
    EXPECT_EQ(events.ended().size(), 1u);

    if (!home.is_on_this_thread())
        return; // the rest drops it at a moment of its own choosing
    join_set<int> set(home.executor());
    set.spawn(waits_for(keep(asio::deferred), events));
    home.run_until([&] { return kept != nullptr; });
    EXPECT_EQ(events.ended().size(), 1u);
    kept.reset();
    const auto second = home.next_of(set);
    EXPECT_EQ(test::cancelled_as(second), cancel_reason::executor_gone);
    EXPECT_EQ(events.ended().size(), 2u);
}

// -- asio::awaitable ---------------------------------------------------------------------------------------

template<class V, class... Args>
asio::awaitable<V> awaitable_of(Args... args)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, 0ms);
    co_await timer.async_wait(asio::use_awaitable);
    co_return V(std::move(args)...);
}

asio::awaitable<int> awaitable_that_throws()
{
    co_await asio::post(asio::use_awaitable);
    throw std::domain_error("from the awaitable");
}

TEST_P(TaskAwait, AnAwaitable)
{
    run<void>([]() -> task<void> {
        co_await awaitable_of<void>();
        EXPECT_EQ(co_await awaitable_of<int>(5), 5);
        EXPECT_EQ(*co_await awaitable_of<std::unique_ptr<int>>(std::make_unique<int>(6)), 6);
        const awaited_number made = co_await awaitable_of<awaited_number>(7);
        EXPECT_EQ(made.number, 7);
        asio::awaitable<int> named = awaitable_of<int>(8);
        EXPECT_EQ(co_await std::move(named), 8);
        try {
            co_await awaitable_that_throws();
            ADD_FAILURE() << "nothing was thrown";
        } catch (const std::domain_error& error) {
            EXPECT_STREQ(error.what(), "from the awaitable");
        }
    });
}

TEST_P(TaskAwait, AnAwaitableRunsInTheSerialOrderOfItsTask)
{
    run<void>([this]() -> task<void> {
        int unguarded = 0;
        const auto test_thread = std::this_thread::get_id();
        const auto work = [&]() -> asio::awaitable<void> {
            for (int i = 0; i != 100; ++i) {
                ++unguarded;
                EXPECT_TRUE(!home.is_on_this_thread() || std::this_thread::get_id() == test_thread);
                co_await asio::post(asio::use_awaitable);
            }
        };
        for (int i = 0; i != 3; ++i) {
            co_await work();
            ++unguarded;
        }
        EXPECT_EQ(unguarded, 303);
    });
}

TEST_P(TaskAwait, AnAwaitableForAnExecutorThatIsNotTheTasksThrows)
{
    using executor = asio::system_executor;
    const auto misplaced = []() -> asio::awaitable<int, executor> { co_return 1; };
    EXPECT_THROW(run<int>([&]() -> task<int> { co_return co_await misplaced(); }), asio::execution::bad_executor);
}

// -- functions ---------------------------------------------------------------------------------------------

int plain_function()
{
    return 10;
}

TEST_P(TaskAwait, AFunctionAndItsCapturesLiveUntilWhatItReturnsHasEnded)
{
    journal events;
    run<void>([&]() -> task<void> {
        auto make_task = [held = tracked(events, "task")]() -> task<std::string> {
            co_await this_task::yield();
            co_await this_task::sleep_for(0ms);
            co_return held.name();
        };
        auto make_awaitable = [held = tracked(events, "awaitable")]() -> asio::awaitable<std::string> {
            co_await asio::post(asio::use_awaitable);
            co_return held.name();
        };
        auto make_operation = [held = tracked(events, "operation")] {
            return async_give<void(std::string)>(asio::deferred, held.name());
        };
        auto make_value = [held = std::make_unique<tracked>(events, "value")]() mutable { return held->name(); };
        EXPECT_EQ(co_await std::move(make_task), "task");
        EXPECT_EQ(co_await std::move(make_awaitable), "awaitable");
        EXPECT_EQ(co_await std::move(make_operation), "operation");
        EXPECT_EQ(co_await std::move(make_value), "value");
        EXPECT_EQ(events.ended(), (std::vector<std::string>{"task", "awaitable", "operation", "value"}))
            << "each is gone when its await is over";
        EXPECT_EQ(co_await plain_function, 10);
        EXPECT_EQ(co_await &plain_function, 10);
    });
}

#if defined(__clang__) || __GNUC__ >= 13 // GCC 12 destroys a closure twice that is a temporary of a co_await expression
TEST_P(TaskAwait, AFunctionWrittenInPlaceIsDestroyedOnce)
{
    const auto shared = std::make_shared<int>(11);
    run<void>([&]() -> task<void> {
        const int number = co_await [shared]() -> task<int> {
            co_await this_task::yield();
            co_return *shared;
        };
        EXPECT_EQ(number, 11);
        EXPECT_EQ(co_await [shared] { return *shared; }, 11);
    });
    EXPECT_EQ(shared.use_count(), 1);
}
#endif

} // namespace
