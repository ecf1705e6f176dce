// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What holds for each asynchronous operation of a set or map, whatever it waits for.

#include <joinery/join_set.hpp>

#include <counting_allocator.hpp>
#include <join_operations.hpp>
#include <run.hpp>
#include <work.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using error_code = boost::system::error_code;

struct operation_names {
    template<class Operation>
    static std::string GetName(int)
    {
        return Operation::name;
    }
};

/// A set or map with one task, and an operation that waits for it.
template<class Operation>
class JoinOperation : public testing::Test {
protected:
    using group_type = typename Operation::group;

    /// Spawns the task, which ends when it is told to, and is waiting.
    void spawn()
    {
        Operation::spawn(*group, wait(*event));
        poll(*context);
    }

    template<class Token>
    auto start(Token&& token)
    {
        return Operation::start(*group, std::forward<Token>(token));
    }

    /// A handler that can be moved only, and takes note of being called.
    auto handler()
    {
        return [this, only = std::make_unique<int>(7)](error_code e, auto&&...) {
            EXPECT_EQ(*only, 7);
            EXPECT_FALSE(error) << "called twice";
            error = e;
        };
    }

    auto counted_handler()
    {
        return asio::bind_allocator(counting_allocator<void>(memory),
                                    [this, next = handler()](error_code e, auto&&...) {
                                        EXPECT_EQ(memory.live_bytes, 0u);
                                        next(e);
                                    });
    }

    allocation_record memory;
    std::unique_ptr<asio::io_context> context = std::make_unique<asio::io_context>();
    std::unique_ptr<manual_event> event =
        std::make_unique<manual_event>(context->get_executor(), when_cancelled::goes_on);
    std::unique_ptr<group_type> group = std::make_unique<group_type>(*context);
    std::optional<error_code> error; // of the operation, when it has ended
};

using operations =
    testing::Types<map_join_next, map_shutdown, set_join_all, map_join_one, map_get, map_join_all_or_abort,
                   map_graceful_shutdown, map_join_until_closed, map_spawn, map_start, queue_join_next>;
TYPED_TEST_SUITE(JoinOperation, operations, operation_names);

// -- each completion token -----------------------------------------------------------------------------------------

TYPED_TEST(JoinOperation, CallsItsHandlerOnceWhenItIsOver)
{
    this->spawn();
    this->start(this->handler());
    poll(*this->context);
    EXPECT_FALSE(this->error);
    this->event->complete();
    run(*this->context);
    EXPECT_EQ(this->error, error_code());
}

TYPED_TEST(JoinOperation, DoesNothingWhenDeferredUntilItIsLaunched)
{
    this->spawn();
    auto operation = this->start(asio::deferred);
    poll(*this->context);
    EXPECT_EQ(this->event->cancellations(), 0);
    EXPECT_EQ(this->group->size(), 1u);
    std::move(operation)(this->handler());
    this->event->complete();
    run(*this->context);
    EXPECT_EQ(this->error, error_code());
}

TYPED_TEST(JoinOperation, IsAwaitedInAnAwaitable)
{
    this->spawn();
    int passed = 0;
    const auto loop = [&](auto await) {
        asio::co_spawn(*this->context, std::move(await), [&](std::exception_ptr failure) {
            EXPECT_FALSE(failure);
            ++passed;
        });
    };
    loop([&]() -> asio::awaitable<void> { co_await this->start(asio::use_awaitable); });
    loop([&]() -> asio::awaitable<void> { co_await this->start(asio::deferred); });
    loop([&]() -> asio::awaitable<void> {
        const auto results = co_await this->start(asio::as_tuple(asio::use_awaitable));
        EXPECT_FALSE(std::get<0>(results));
    });
    poll(*this->context);
    EXPECT_EQ(passed, 0);
    this->event->complete();
    run(*this->context);
    EXPECT_EQ(passed, 3);
}

TYPED_TEST(JoinOperation, IsAwaitedInATask)
{
    this->spawn();
    join_set<void> owners(*this->context);
    owners.spawn([&]() -> task<> { co_await this->start(asio::deferred); });
    owners.spawn([&]() -> task<> {
        const auto results = co_await this->start(asio::as_tuple(asio::deferred));
        EXPECT_FALSE(std::get<0>(results));
    });
    poll(*this->context);
    EXPECT_FALSE(owners.try_join_next());
    this->event->complete();
    run(*this->context);
    for (int i = 0; i != 2; ++i) {
        const auto joined = owners.try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_TRUE(joined->result.has_value());
    }
}

TYPED_TEST(JoinOperation, MakesAFutureReady)
{
    this->spawn();
    auto future = this->start(asio::use_future);
    poll(*this->context);
    EXPECT_EQ(future.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
    this->event->complete();
    run(*this->context);
    EXPECT_NO_THROW(get(std::move(future)));
}

// -- what is bound to the handler -----------------------------------------------------------------------------------

TYPED_TEST(JoinOperation, CompletesOnTheHandlersExecutor)
{
    asio::io_context elsewhere;
    this->spawn();
    this->start(asio::bind_executor(elsewhere, this->handler()));
    this->event->complete();
    poll(*this->context); // a deadline may keep it at work until the handler has run
    EXPECT_FALSE(this->error);
    run(elsewhere);
    EXPECT_EQ(this->error, error_code());
}

TYPED_TEST(JoinOperation, KeepsTheHandlersExecutorBusyWhileItWaits)
{
    asio::io_context elsewhere;
    this->spawn();
    this->start(asio::bind_executor(elsewhere, this->handler()));
    poll(elsewhere);
    EXPECT_FALSE(elsewhere.stopped());
    this->event->complete();
    poll(*this->context); // a deadline may keep it at work until the handler has run
    run(elsewhere);
    EXPECT_TRUE(elsewhere.stopped());
}

TYPED_TEST(JoinOperation, UsesTheHandlersAllocatorAndFreesItsMemoryBeforeTheUpcall)
{
    this->spawn();
    this->start(this->counted_handler());
    EXPECT_GT(this->memory.live_bytes, 0u);
    this->event->complete();
    run(*this->context);
    EXPECT_EQ(this->error, error_code());
    EXPECT_GT(this->memory.allocations, 0u);
}

TYPED_TEST(JoinOperation, IsCancelledThroughTheHandlersSlotByEachType)
{
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
        asio::cancellation_signal signal;
        this->error.reset();
        if (this->group->empty())
            this->spawn();
        this->start(asio::bind_cancellation_slot(signal.slot(), this->counted_handler()));
        poll(*this->context);
        signal.emit(type);
        EXPECT_FALSE(this->error);
        poll(*this->context);
        EXPECT_EQ(this->error, asio::error::operation_aborted);
        signal.emit(type);
        poll(*this->context);
    }
    this->error.reset();
    this->start(this->handler()); // and is as good as new
    poll(*this->context);
    EXPECT_FALSE(this->error);
    this->event->complete();
    run(*this->context);
    EXPECT_EQ(this->error, error_code());
}

// -- at other times ---------------------------------------------------------------------------------------------------

TYPED_TEST(JoinOperation, NeverCompletesWithinTheCallEvenIfItHasWhatItWaitsFor)
{
    this->spawn();
    this->event->complete();
    run(*this->context);
    const auto begin = [&] {
        this->start(this->handler());
        EXPECT_FALSE(this->error);
    };
    asio::post(*this->context, begin); // there is a task that has ended
    run(*this->context);
    EXPECT_EQ(this->error, error_code());
    EXPECT_EQ(this->group->empty(), TypeParam::empties);
    this->error.reset();
    asio::post(*this->context, begin); // there is none
    run(*this->context);
    EXPECT_EQ(this->error, error_code());
    EXPECT_NO_THROW(([&] {
        auto future = this->start(asio::use_future);
        run(*this->context);
        get(std::move(future));
    }()));
}

TYPED_TEST(JoinOperation, EndsAsAbortedWhenTheSetOrMapIsDestroyed)
{
    this->spawn();
    this->start(this->counted_handler());
    auto future = this->start(asio::use_future);
    join_set<void> owners(*this->context);
    owners.spawn([&]() -> task<> { co_await this->start(asio::deferred); });
    poll(*this->context);
    this->group.reset();
    EXPECT_FALSE(this->error);
    poll(*this->context);
    EXPECT_EQ(this->error, asio::error::operation_aborted);
    EXPECT_THROW(get(std::move(future)), boost::system::system_error);
    const auto owner = owners.try_join_next();
    ASSERT_TRUE(owner);
    EXPECT_TRUE(owner->result.error().is_exception()); // it was not aborted: the operation was
}

TYPED_TEST(JoinOperation, IsDestroyedUncalledWithItsContext)
{
    this->spawn();
    this->start(this->counted_handler());
    auto future = this->start(asio::use_future);
    poll(*this->context);
    EXPECT_GT(this->memory.live_bytes, 0u);
    this->event->drop();
    this->context.reset();
    EXPECT_FALSE(this->error);
    EXPECT_EQ(this->memory.live_bytes, 0u);
    EXPECT_NO_THROW(get(std::move(future))); // whose handler runs on Asio's system executor
}

TYPED_TEST(JoinOperation, IsDestroyedUncalledWithItsContextWhenItIsOnItsWay)
{
    this->spawn();
    this->event->complete();
    poll(*this->context);
    this->start(this->counted_handler());
    auto future = this->start(asio::use_future);
    EXPECT_GT(this->memory.live_bytes, 0u);
    this->context.reset();
    EXPECT_FALSE(this->error);
    EXPECT_EQ(this->memory.live_bytes, 0u);
    EXPECT_NO_THROW(get(std::move(future))); // whose handler runs on Asio's system executor
}

} // namespace
