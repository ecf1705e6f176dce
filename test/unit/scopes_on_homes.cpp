// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Scopes in tasks on each kind of home.

#include <homes.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/scope.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

namespace {

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

class ScopeOnHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(ScopeOnHome);

struct no_default {
    explicit no_default(int number)
        : value(std::make_unique<int>(number))
    {
    }

    std::unique_ptr<int> value;
};

task<int> count_down(std::atomic<int>& left)
{
    for (int i = 0; i != 3; ++i)
        co_await this_task::yield();
    co_await this_task::sleep_for(1us);
    --left;
    co_return 0;
}

TEST_P(ScopeOnHome, EndsAfterItsTasks)
{
    const auto parent = []() -> task<int> {
        std::atomic<int> left = 100;
        co_await async_scope<join_set<int>>([&](join_set<int>& tasks) {
            for (int i = 0; i != 100; ++i)
                tasks.spawn(count_down(left));
        });
        co_return left.load();
    };
    EXPECT_EQ(home.outcome_of<int>(parent).value(), 0);
}

TEST_P(ScopeOnHome, YieldsWhatCanOnlyBeMoved)
{
    const auto parent = []() -> task<int> {
        const no_default got = co_await async_scope<join_set<int>>([](join_set<int>& tasks) -> task<no_default> {
            tasks.spawn(give(3));
            auto joined = co_await tasks.async_join_next();
            co_return no_default(joined->result.value());
        });
        co_return *got.value;
    };
    EXPECT_EQ(home.outcome_of<int>(parent).value(), 3);
}

TEST_P(ScopeOnHome, TakesABodyOfEachKind)
{
    const auto parent = []() -> task<int> {
        co_await async_scope<join_set<int>>([](join_set<int>&) {});
        const int plain = co_await async_scope<join_set<int>>([](join_set<int>&) { return 1; });
        const int awaited = co_await async_scope<join_set<int>>([](join_set<int>& tasks) -> asio::awaitable<int> {
            tasks.spawn(give(20));
            auto joined = co_await tasks.async_join_next();
            co_return joined->result.value();
        });
        co_return plain + awaited;
    };
    EXPECT_EQ(home.outcome_of<int>(parent).value(), 21);
}

TEST_P(ScopeOnHome, EndsItsTasksWhenItsParentIsAborted)
{
    journal lives;
    std::atomic<bool> begun = false;
    join_set<int> parents(home.executor());
    const abort_handle parent = parents.spawn([&]() -> task<int> {
        const tracked local(lives, "parent");
        co_await async_scope<join_set<int>>([&](join_set<int>& tasks) -> task<> {
            for (int i = 0; i != 10; ++i)
                tasks.spawn(hold(tracked(lives, "child")));
            begun = true;
            co_await this_task::sleep_forever();
        });
        co_return 0;
    });
    home.run_until([&] { return begun.load(); });
    parent.abort();
    EXPECT_EQ(cancelled_as(home.next_of(parents)), cancel_reason::aborted);
    ASSERT_EQ(lives.ended().size(), 11u);
    EXPECT_EQ(lives.ended().back(), "parent");
}

TEST_P(ScopeOnHome, HasItsTasksWhereItIsTold)
{
    runtime elsewhere(1);
    const auto parent = [&]() -> task<int> {
        const auto here = co_await asio::this_coro::executor;
        co_return co_await async_scope<join_set<int>>(elsewhere, [&](join_set<int>& tasks) -> task<int> {
            EXPECT_EQ(tasks.get_executor(), elsewhere.get_executor());
            tasks.spawn(give(1));
            auto joined = co_await tasks.async_join_next();
            co_return joined->result.value();
        });
    };
    EXPECT_EQ(home.outcome_of<int>(parent).value(), 1);
}

} // namespace
