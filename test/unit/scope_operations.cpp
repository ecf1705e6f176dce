// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Scopes as operations of Asio: with each token and each associated object, and when their execution context goes.

#include <counting_allocator.hpp>
#include <homes.hpp>
#include <manual_event.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/scope.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

using int_set = join_set<int>;
using names = std::vector<std::string>;

std::string what(const std::exception_ptr& failure)
{
    if (!failure)
        return "none";
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted ? "operation aborted" : error.what();
    } catch (const std::exception& error) {
        return error.what();
    }
}

task<int> stay_until(manual_event& event, tracked)
{
    co_await event.async_wait();
    co_return 0;
}

class ScopeOperation : public testing::Test {
protected:
    tracked named(std::string name)
    {
        return tracked(lives, std::move(name));
    }

    /// A body that leaves a task behind, which waits for the event.
    auto body(int yielded = 0)
    {
        return [this, yielded](int_set& tasks) {
            tasks.spawn(stay_until(event, named("child")));
            return yielded;
        };
    }

    journal lives; // outlives the tasks that are left with the context
    std::optional<asio::io_context> context{std::in_place, 1};
    manual_event event{context->get_executor(), when_cancelled::goes_on};
    std::optional<std::string> failure; // with which the scope ended
    int value = -1;

    auto record()
    {
        return [this, local = std::make_unique<tracked>(named("handler"))](std::exception_ptr error, int got) {
            failure = what(error);
            value = got;
        };
    }
};

TEST_F(ScopeOperation, CallsAHandlerWhenEachTaskHasEnded)
{
    async_scope<int_set>(*context, body(3), record());
    EXPECT_EQ(lives.begun(), 1); // nothing happens within the call
    poll(*context);
    EXPECT_FALSE(failure);
    event.complete();
    poll(*context);
    EXPECT_EQ(failure, "none");
    EXPECT_EQ(value, 3);
    EXPECT_EQ(lives.ended(), (names{"child", "handler"}));
}

TEST_F(ScopeOperation, KeepsItsContextAtWork)
{
    async_scope<int_set>(*context, body(), record());
    poll(*context);
    EXPECT_FALSE(context->stopped());
    event.complete();
    run(*context);
    EXPECT_EQ(failure, "none");
    EXPECT_TRUE(context->stopped());
}

TEST_F(ScopeOperation, GivesTheExceptionOfTheBody)
{
    async_scope<int_set>(
        *context,
        [](int_set&) -> task<int> {
            throw std::runtime_error("the body's");
            co_return 0;
        },
        record());
    poll(*context);
    EXPECT_EQ(failure, "the body's");
    EXPECT_EQ(value, 0);
}

TEST_F(ScopeOperation, GivesTheExceptionOfATask)
{
    async_scope<int_set>(
        *context, [](int_set& tasks) { tasks.spawn([]() -> int { throw std::runtime_error("the task's"); }); },
        [this](std::exception_ptr error) { failure = what(error); });
    poll(*context);
    EXPECT_EQ(failure, "the task's");
}

class ScopeCancellation : public ScopeOperation, public testing::WithParamInterface<asio::cancellation_type> {};

TEST_P(ScopeCancellation, AbortsTheTasksAndWaitsForThem)
{
    asio::cancellation_signal signal;
    async_scope<int_set>(*context, body(), asio::bind_cancellation_slot(signal.slot(), record()));
    poll(*context);
    signal.emit(GetParam());
    poll(*context);
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_FALSE(failure);
    event.complete();
    poll(*context);
    EXPECT_EQ(failure, "operation aborted");
    EXPECT_FALSE(signal.slot().has_handler());
}

INSTANTIATE_TEST_SUITE_P(Types, ScopeCancellation,
                         testing::Values(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                                         asio::cancellation_type::total));

TEST_F(ScopeOperation, CanBeCancelledBeforeItBegins)
{
    asio::cancellation_signal signal;
    async_scope<int_set>(*context, body(), asio::bind_cancellation_slot(signal.slot(), record()));
    signal.emit(asio::cancellation_type::total);
    poll(*context);
    EXPECT_EQ(failure, "operation aborted");
    EXPECT_EQ(event.started(), 0);
}

TEST_F(ScopeOperation, RunsItsBodyAndItsHandlerOnTheHandlersExecutor)
{
    const auto strand = asio::make_strand(*context);
    bool body_is_there = false;
    bool handler_is_there = false;
    async_scope<int_set>(
        [&](int_set& tasks) {
            body_is_there = strand.running_in_this_thread();
            EXPECT_EQ(tasks.get_executor(), strand);
        },
        asio::bind_executor(strand, [&](std::exception_ptr) { handler_is_there = strand.running_in_this_thread(); }));
    poll(*context);
    EXPECT_TRUE(body_is_there);
    EXPECT_TRUE(handler_is_there);
}

TEST_F(ScopeOperation, FreesItsMemoryBeforeItCallsTheHandler)
{
    allocation_record record;
    std::size_t live = 1;
    async_scope<int_set>(*context, body(),
                         asio::bind_allocator(counting_allocator<char>(record),
                                              [&](std::exception_ptr, int) { live = record.live_bytes; }));
    EXPECT_GT(record.live_bytes, 0u);
    poll(*context);
    event.complete();
    poll(*context);
    EXPECT_GT(record.allocations, 0u);
    EXPECT_EQ(live, 0u);
}

TEST_F(ScopeOperation, GivesAFuture)
{
    auto future = async_scope<int_set>(*context, [](int_set&) { return 5; }, asio::use_future);
    poll(*context);
    EXPECT_EQ(get(std::move(future)), 5);
}

TEST_F(ScopeOperation, CanBeDeferred)
{
    auto scope = async_scope<int_set>(*context, body(5));
    EXPECT_EQ(lives.begun(), 0);
    std::move(scope)(record());
    poll(*context);
    event.complete();
    poll(*context);
    EXPECT_EQ(value, 5);
}

TEST_F(ScopeOperation, WhoseBodyCanOnlyBeMovedIsLaunchedOnce)
{
    const auto scope = async_scope<int_set>(*context, [held = std::make_unique<int>(1)](int_set&) { return *held; });
    EXPECT_THROW(scope(record()), std::logic_error);
}

TEST_F(ScopeOperation, IsAwaitedByAnAwaitable)
{
    const auto parent = [this]() -> asio::awaitable<void> {
        const tracked local = named("parent");
        auto text = co_await async_scope<int_set>([this](int_set& tasks) {
            tasks.spawn(stay_until(event, named("child")));
            return std::make_unique<std::string>("moved");
        });
        EXPECT_EQ(*text, "moved");
        co_await async_scope<int_set>([](int_set&) {}, asio::use_awaitable);
        const auto [error, got] =
            co_await async_scope<int_set>([](int_set&) { return 4; }, asio::as_tuple(asio::deferred));
        EXPECT_FALSE(error);
        EXPECT_EQ(got, 4);
        throw std::runtime_error(std::to_string(lives.ended().size()));
    };
    asio::co_spawn(*context, parent(), [this](std::exception_ptr error) { failure = what(error); });
    poll(*context);
    EXPECT_FALSE(failure);
    event.complete();
    poll(*context);
    EXPECT_EQ(failure, "1");
    EXPECT_EQ(lives.ended(), (names{"child", "parent"}));
}

TEST_F(ScopeOperation, InAnAwaitableThatIsCancelledWaitsForTheTasks)
{
    asio::cancellation_signal signal;
    const auto parent = [this]() -> asio::awaitable<void> {
        const tracked local = named("parent");
        co_await async_scope<int_set>([this](int_set& tasks) -> asio::awaitable<void> {
            tasks.spawn(stay_until(event, named("child")));
            const tracked inner = named("body");
            co_await asio::steady_timer(co_await asio::this_coro::executor, 1h).async_wait(asio::deferred);
        });
    };
    asio::co_spawn(*context, parent(), asio::bind_cancellation_slot(signal.slot(), [this](std::exception_ptr error) {
        failure = what(error);
    }));
    poll(*context);
    signal.emit(asio::cancellation_type::terminal);
    poll(*context);
    EXPECT_EQ(lives.ended(), names{"body"});
    event.complete();
    poll(*context);
    EXPECT_EQ(failure, "operation aborted");
    EXPECT_EQ(lives.ended(), (names{"body", "child", "parent"}));
}

// -- the end of the context --------------------------------------------------------------------------------

/// Sleeps among the context's timers, while a stricter order than that of its services is asked for.
task<int> sleep(tracked)
{
    co_await this_task::sleep_for(1h);
    co_return 0;
}

task<int> wait_for_timer(tracked)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
    co_await timer.async_wait(asio::deferred);
    co_return 0;
}

void spawn_each(int_set& tasks, journal& lives)
{
    tasks.spawn(hold(tracked(lives, "child")));
    tasks.spawn(sleep(tracked(lives, "child")));
    tasks.spawn(wait_for_timer(tracked(lives, "child")));
    tasks.spawn([&lives]() -> asio::awaitable<int> {
        const tracked local(lives, "child");
        co_await asio::steady_timer(co_await asio::this_coro::executor, 1h).async_wait(asio::deferred);
        co_return 0;
    });
}

template<bool BodyStays>
auto spawning_body(journal& lives)
{
    return [&lives](int_set& tasks) -> task<int> {
        spawn_each(tasks, lives);
        if (BodyStays)
            co_await this_task::sleep_for(1h);
        co_return 0;
    };
}

template<bool BodyStays>
task<int> parent_task(journal& lives)
{
    const tracked local(lives, "parent");
    co_return co_await async_scope<int_set>(spawning_body<BodyStays>(lives));
}

template<bool BodyStays>
asio::awaitable<void> parent_awaitable(journal& lives)
{
    const tracked local(lives, "parent");
    co_await async_scope<int_set>(spawning_body<BodyStays>(lives));
}

TEST_F(ScopeOperation, IsDestroyedWithItsContextAfterItsTasks)
{
    for (const bool body_stays : {false, true}) {
        journal each;
        std::optional<asio::io_context> dying(std::in_place, 1);
        asio::co_spawn(*dying, body_stays ? parent_awaitable<true>(each) : parent_awaitable<false>(each),
                       [](std::exception_ptr) { ADD_FAILURE() << "the handler is called"; });
        poll(*dying);
        EXPECT_EQ(each.begun(), 5);
        dying.reset();
        ASSERT_EQ(each.ended().size(), 5u);
        EXPECT_EQ(each.ended().back(), "parent");
    }
}

class ScopeContextGone : public testing::TestWithParam<home_kind> {};

JOINERY_TEST_ON_EACH_HOME(ScopeContextGone);

TEST_P(ScopeContextGone, EndsTheTasksAndThenTheParent)
{
    for (const bool body_stays : {false, true}) {
        journal lives;
        std::optional<any_home> home(std::in_place, GetParam());
        int_set parents(home->executor());
        parents.spawn(body_stays ? parent_task<true>(lives) : parent_task<false>(lives));
        home->run_until([&] { return lives.begun() == 5; });
        home.reset();
        ASSERT_EQ(lives.ended().size(), 5u);
        EXPECT_EQ(lives.ended().back(), "parent");
        EXPECT_EQ(cancelled_as(parents.try_join_next().value().result), cancel_reason::executor_gone);
    }
}

TEST_P(ScopeContextGone, BeforeAnythingHasBegunEndsTheParent)
{
    journal lives;
    std::optional<any_home> home(std::in_place, GetParam());
    int_set parents(home->executor());
    if (!home->is_on_this_thread())
        return;
    parents.spawn(parent_task<true>(lives));
    home.reset();
    EXPECT_EQ(lives.alive(), 0);
    EXPECT_EQ(cancelled_as(parents.try_join_next().value().result), cancel_reason::executor_gone);
}

} // namespace
