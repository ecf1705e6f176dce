// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Scopes in tasks: what ends when, and what is still there by then.

#include <manual_event.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/scope.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

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

using int_map = join_map<int, int>;
using names = std::vector<std::string>;

/// Waits, and is not impressed by an abort: it ends when the event is told to.
task<int> stay(manual_event& event, tracked, int value = 0)
{
    co_await event.async_wait();
    co_return value;
}

task<> begun(const manual_event& event)
{
    while (!event.is_waiting())
        co_await this_task::yield();
}

task<int> fail(std::string what)
{
    throw std::runtime_error(what);
    co_return 0;
}

/// A task in a context that is run by hand, with a scope in it.
class AsyncScope : public testing::Test {
protected:
    tracked named(std::string name)
    {
        return tracked(lives, std::move(name));
    }

    /// Runs what can run, and says how the parent ended, if it has.
    std::optional<join_result<int>> outcome()
    {
        poll(*context);
        auto next = parents.try_join_next();
        return next ? std::optional(std::move(next->result)) : std::nullopt;
    }

    std::string message(const join_result<int>& result)
    {
        return result ? "a value" : result.error().message().substr(result.error().message().find(' ', 5) + 1);
    }

    journal lives; // outlives the tasks that are left with the context
    std::optional<asio::io_context> context{std::in_place, 1};
    manual_event first{context->get_executor(), when_cancelled::goes_on};
    manual_event second{context->get_executor(), when_cancelled::goes_on};
    join_set<int> parents{*context};
};

TEST_F(AsyncScope, IsNotLeftBeforeEachTaskHasEnded)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, stay(first, named("one")));
            tasks.spawn(2, stay(second, named("two")));
        });
        co_return 7;
    });
    EXPECT_FALSE(outcome());
    second.complete();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(lives.ended(), names{"two"});
    first.complete();
    EXPECT_EQ(outcome().value().value(), 7);
    EXPECT_EQ(lives.ended(), (names{"two", "one", "parent"}));
}

TEST_F(AsyncScope, IsNotLeftBeforeAReplacedTaskHasEnded)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_return co_await async_scope<int_map>([&](int_map& tasks) -> task<int> {
            tasks.spawn(1, stay(first, named("replaced")));
            co_await begun(first);
            tasks.spawn(1, give(3));
            auto joined = co_await tasks.async_join_next();
            co_return joined->result.value();
        });
    });
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 1);
    first.complete();
    EXPECT_EQ(outcome().value().value(), 3);
    EXPECT_EQ(lives.ended(), (names{"replaced", "parent"}));
}

TEST_F(AsyncScope, ThrowsWhatTheBodyThrowsWhenAllTasksHaveBeenAborted)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) -> task<> {
            tasks.spawn(1, stay(first, named("child")));
            tasks.spawn(2, fail("the child's"));
            co_await begun(first);
            throw std::runtime_error("the body's");
        });
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 1);
    first.complete();
    EXPECT_EQ(message(outcome().value()), "failed: the body's");
    EXPECT_EQ(lives.ended(), (names{"child", "parent"}));
}

TEST_F(AsyncScope, ThrowsWhatABodyThatIsNoCoroutineThrows)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, hold(named("child")));
            throw std::runtime_error("the body's");
        });
        co_return 0;
    });
    EXPECT_EQ(message(outcome().value()), "failed: the body's");
    EXPECT_EQ(lives.ended(), (names{"child", "parent"}));
}

TEST_F(AsyncScope, ThrowsTheFirstFailureThatNobodyJoinedWhenTheOthersHaveBeenAborted)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, stay(first, named("child")));
            tasks.spawn(2, fail("first"));
            tasks.spawn(3, fail("second"));
        });
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 1);
    first.complete();
    EXPECT_EQ(message(outcome().value()), "failed: first");
    EXPECT_EQ(lives.ended(), (names{"child", "parent"}));
}

TEST_F(AsyncScope, AbortsNobodyForAFailureWhileTheBodyRuns)
{
    parents.spawn([&]() -> task<int> {
        co_return co_await async_scope<int_map>([&](int_map& tasks) -> task<int> {
            tasks.spawn(1, fail("of no interest"));
            tasks.spawn(2, wait(first, 5));
            co_await second.async_wait();
            int sum = 0;
            while (auto joined = co_await tasks.async_join_next())
                sum += joined->result ? *joined->result : 100;
            co_return sum;
        });
    });
    EXPECT_FALSE(outcome());
    second.complete();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 0);
    first.complete();
    EXPECT_EQ(outcome().value().value(), 105);
}

TEST_F(AsyncScope, TakesACancelledTaskForNoFailure)
{
    parents.spawn([&]() -> task<int> {
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, wait_forever());
            tasks.spawn(2, give(1));
            tasks.abort(1);
        });
        co_return 1;
    });
    EXPECT_EQ(outcome().value().value(), 1);
}

TEST_F(AsyncScope, AbortsTheBodyAndThenTheTasksWhenItsParentIsAborted)
{
    const abort_handle parent = parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) -> task<> {
            tasks.spawn(1, stay(first, named("child")));
            const tracked inner = named("body");
            co_await second.async_wait();
        });
        ADD_FAILURE() << "the parent goes on";
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    parent.abort();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(second.cancellations(), 1);
    EXPECT_EQ(first.cancellations(), 0); // the body may still need it
    second.complete();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 1);
    EXPECT_EQ(lives.ended(), names{"body"});
    first.complete();
    EXPECT_EQ(cancelled_as(outcome().value()), cancel_reason::aborted);
    EXPECT_EQ(lives.ended(), (names{"body", "child", "parent"}));
}

TEST_F(AsyncScope, AbortsTheTasksWhenItsParentIsAbortedAfterTheBody)
{
    const abort_handle parent = parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) { tasks.spawn(1, stay(first, named("child"))); });
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    parent.abort();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 1);
    first.complete();
    EXPECT_EQ(cancelled_as(outcome().value()), cancel_reason::aborted);
    EXPECT_EQ(lives.ended(), (names{"child", "parent"}));
}

TEST_F(AsyncScope, OfAScopeAbortsThatToo)
{
    const abort_handle parent = parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, [&]() -> task<int> {
                const tracked middle = named("child");
                co_await async_scope<int_map>(
                    [&](int_map& inner) { inner.spawn(1, stay(first, named("grandchild"))); });
                co_return 0;
            });
        });
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    parent.abort();
    EXPECT_FALSE(outcome());
    EXPECT_EQ(first.cancellations(), 1);
    first.complete();
    EXPECT_TRUE(outcome());
    EXPECT_EQ(lives.ended(), (names{"grandchild", "child", "parent"}));
}

TEST_F(AsyncScope, DestroysTheResultsThatNobodyJoined)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<join_set<tracked>>([&](join_set<tracked>& tasks) {
            tasks.spawn([&]() -> task<tracked> { co_return named("result"); });
            tasks.spawn([&]() -> task<tracked> {
                co_await first.async_wait();
                co_return named("late result");
            });
        });
        EXPECT_EQ(lives.ended(), (names{"result", "late result"}));
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    EXPECT_EQ(lives.ended(), names{"result"});
    first.complete();
    EXPECT_TRUE(outcome());
}

TEST_F(AsyncScope, KeepsWhatTheBodyHasCaptured)
{
    parents.spawn([&]() -> task<int> {
        // It has a name because GCC 12 destroys the captures of a closure in a co_await expression twice.
        auto body = [held = std::make_unique<tracked>(named("capture")), this](int_map& tasks) {
            tasks.spawn(1, [&held, this]() -> task<int> {
                co_await first.async_wait();
                EXPECT_EQ(held->name(), "capture");
                co_return 0;
            });
        };
        co_await async_scope<int_map>(std::move(body));
        EXPECT_EQ(lives.alive(), 0);
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    EXPECT_EQ(lives.alive(), 1);
    first.complete();
    EXPECT_TRUE(outcome());
}

TEST_F(AsyncScope, DoesNotWaitForADetachedTask)
{
    parents.spawn([&]() -> task<int> {
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, stay(first, named("detached")));
            tasks.detach_all();
        });
        co_return 1;
    });
    EXPECT_EQ(outcome().value().value(), 1);
    EXPECT_EQ(lives.alive(), 1);
    first.complete();
    poll(*context);
    EXPECT_EQ(lives.alive(), 0);
}

TEST_F(AsyncScope, WaitsForATaskThatAnotherTaskSpawnsAfterTheBody)
{
    parents.spawn([&]() -> task<int> {
        const tracked local = named("parent");
        co_await async_scope<int_map>([&](int_map& tasks) {
            tasks.spawn(1, [&]() -> task<int> {
                co_await first.async_wait();
                tasks.spawn(2, stay(second, named("second")));
                co_return 0;
            });
        });
        co_return 0;
    });
    EXPECT_FALSE(outcome());
    first.complete();
    EXPECT_FALSE(outcome());
    second.complete();
    EXPECT_TRUE(outcome());
    EXPECT_EQ(lives.ended(), (names{"second", "parent"}));
}

TEST_F(AsyncScope, AsWorkIsCancelledByAnAbort)
{
    const abort_handle scope = parents.spawn(async_scope<int_map>([&](int_map& tasks) -> task<int> {
        tasks.spawn(1, stay(first, named("child")));
        co_await this_task::sleep_forever();
        co_return 0;
    }));
    EXPECT_FALSE(outcome());
    scope.abort();
    EXPECT_FALSE(outcome());
    first.complete();
    EXPECT_EQ(cancelled_as(outcome().value()), cancel_reason::aborted);
}

} // namespace
