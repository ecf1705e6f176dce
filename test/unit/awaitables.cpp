// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Awaitables of Asio, one after the other and many at once, on each kind of home: none finds a trace of another.

#include <homes.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace joinery;
namespace asio = boost::asio;
using boost::system::error_code;
using test::journal;
using test::tracked;

asio::awaitable<int> at_once(int value)
{
    co_return value;
}

asio::awaitable<int> after_a_post(int value)
{
    co_await asio::post(asio::deferred);
    co_return value;
}

asio::awaitable<int> for_ever(std::atomic<int>& waiting)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    ++waiting;
    co_await timer.async_wait(asio::deferred);
    co_return 0;
}

class Awaitables : public test::each_home {
public:
    /// Spawns an awaitable that waits for ever, and aborts it when it does.
    void expect_abort_reaches_the_next()
    {
        std::atomic<int> waiting = 0;
        join_set<int> set(home.executor());
        const abort_handle handle = set.spawn(for_ever(waiting));
        home.run_until([&] { return waiting == 1; });
        handle.abort();
        EXPECT_EQ(test::cancelled_as(home.next_of(set)), cancel_reason::aborted);
    }
};

JOINERY_TEST_ON_EACH_HOME(Awaitables);

TEST_P(Awaitables, AfterOneThatWasAbortedTheNextIsNot)
{
    for (int i = 0; i != 3; ++i) {
        expect_abort_reaches_the_next();
        EXPECT_EQ(home.outcome_of<int>(after_a_post(i)).value(), i);
        EXPECT_EQ(home.outcome_of<int>(at_once(i)).value(), i);
    }
}

TEST_P(Awaitables, WhatOneSetsForItsOwnCancellationIsGoneWithIt)
{
    const auto deaf = []() -> asio::awaitable<int> {
        EXPECT_TRUE(co_await asio::this_coro::throw_if_cancelled());
        co_await asio::this_coro::throw_if_cancelled(false);
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await asio::post(asio::deferred);
        co_return 1;
    };
    for (int i = 0; i != 3; ++i) {
        EXPECT_EQ(home.outcome_of<int>(deaf()).value(), 1);
        expect_abort_reaches_the_next();
    }
}

TEST_P(Awaitables, OneThatGoesElsewhereEndsThereAndItsTaskAndTheNextAreAtHome)
{
    asio::thread_pool elsewhere(1);
    const auto test_thread = std::this_thread::get_id();
    const auto is_at_home = [&] {
        return !elsewhere.get_executor().running_in_this_thread() &&
               (!home.is_on_this_thread() || std::this_thread::get_id() == test_thread);
    };
    const auto goes = [&]() -> asio::awaitable<int> {
        EXPECT_TRUE(is_at_home());
        co_await asio::post(asio::bind_executor(elsewhere, asio::use_awaitable));
        EXPECT_TRUE(elsewhere.get_executor().running_in_this_thread());
        co_return 1;
    };
    const auto sum = home.outcome_of<int>([&]() -> task<int> {
        int added = 0;
        for (int i = 0; i != 20; ++i) {
            added += co_await goes();
            EXPECT_TRUE(is_at_home());
            added += co_await at_once(1);
            EXPECT_TRUE(is_at_home());
        }
        co_return added;
    });
    EXPECT_EQ(sum.value(), 40);
}

TEST_P(Awaitables, OfSeveralKindsCanWaitInGreatNumbersAndAgain)
{
    constexpr int each = 1500;
    for (int round = 0; round != 2; ++round) {
        join_set<int> set(home.executor());
        std::atomic<int> entered = 0;
        const auto with_text = [&entered]() -> asio::awaitable<std::string> {
            ++entered;
            co_await asio::post(asio::deferred);
            co_return "some text that is too long to be stored in place";
        };
        for (int i = 0; i != each; ++i) {
            set.spawn(after_a_post(1));
            set.spawn([&]() -> task<int> { co_return static_cast<int>((co_await with_text()).size() == 48); });
        }
        int sum = 0;
        for (int i = 0; i != 2 * each; ++i)
            sum += home.next_of(set).value();
        EXPECT_EQ(sum, 2 * each);
        EXPECT_EQ(entered, each);
    }
}

TEST_P(Awaitables, ThatCompleteAtOnceDoNotGrowTheStack)
{
    EXPECT_EQ(home.outcome_of<int>([]() -> task<int> {
                      int sum = 0;
                      for (int i = 0; i != 20'000; ++i)
                          sum += co_await at_once(1);
                      co_return sum;
                  })
                  .value(),
              20'000);
}

TEST_P(Awaitables, OneMayBeResumedByAnotherTaskOfItsHome)
{
    if (!home.is_on_this_thread())
        return; // who resumes it would need a lock
    std::function<void()> resume;
    const auto wait = [&resume] {
        return asio::async_initiate<const asio::deferred_t, void()>(
            [&resume](auto handler) {
                const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
                resume = [kept] { asio::dispatch(std::move(*kept)); };
            },
            asio::deferred);
    };
    const auto waits = [&](int value) -> asio::awaitable<int> {
        co_await wait();
        co_return value;
    };
    join_set<int> set(home.executor());
    set.spawn([&]() -> task<int> {
        int sum = 0;
        for (int i = 0; i != 1000; ++i)
            sum += co_await waits(1) + co_await at_once(1);
        co_return sum;
    });
    set.spawn([&]() -> task<int> {
        for (int i = 0; i != 1000;) {
            if (resume) {
                std::exchange(resume, nullptr)();
                ++i;
            }
            co_await this_task::yield();
        }
        co_return 0;
    });
    EXPECT_EQ(home.next_of(set).value() + home.next_of(set).value(), 2000);
}

TEST_P(Awaitables, OneMayEndWithinItsCancellation)
{
    std::atomic<bool> waits = false;
    const auto wait = [&waits] {
        return asio::async_initiate<const asio::deferred_t, void(error_code)>(
            [&waits](auto handler) {
                auto slot = asio::get_associated_cancellation_slot(handler);
                const auto kept = std::make_shared<decltype(handler)>(std::move(handler));
                slot.assign([kept](asio::cancellation_type) {
                    auto taken = std::move(*kept);
                    std::move(taken)(error_code(asio::error::operation_aborted));
                });
                waits = true;
            },
            asio::deferred);
    };
    for (int i = 0; i != 3; ++i) {
        waits = false;
        join_set<int> set(home.executor());
        const abort_handle handle = set.spawn([&]() -> asio::awaitable<int> {
            co_await wait();
            co_return 1;
        });
        home.run_until([&] { return waits.load(); });
        handle.abort();
        EXPECT_EQ(test::cancelled_as(home.next_of(set)), cancel_reason::aborted);
        EXPECT_EQ(home.outcome_of<int>(after_a_post(i)).value(), i);
    }
}

TEST(AwaitablesOnALocalSet, AreDestroyedWithTheSetAndSoIsItsHome)
{
    journal frames;
    std::atomic<int> waiting = 0;
    std::optional<local_set> local(std::in_place);
    join_map<int, int> map(local->get_executor());
    map.spawn(1, [&, held = tracked(frames)]() -> asio::awaitable<int> { co_return co_await for_ever(waiting); });
    map.spawn(2, after_a_post(2));
    map.spawn(3, at_once(3));
    local->run_until([&]() -> task<> {
        for (int i = 0; i != 2; ++i)
            EXPECT_TRUE((co_await map.async_join_next())->result.has_value());
    });
    EXPECT_EQ(waiting, 1);
    EXPECT_EQ(frames.alive(), 1);
    local.reset();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(test::cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
}

TEST(AwaitablesOnALocalSet, CanBeAbortedInVeryGreatNumbers)
{
    constexpr int count = 20'000;
    std::atomic<int> waiting = 0;
    local_set local;
    join_map<int, int> map(local.get_executor());
    int aborted = 0;
    local.run_until([&]() -> task<> {
        for (int key = 0; key != count; ++key)
            map.spawn(key, for_ever(waiting));
        while (waiting != count)
            co_await this_task::yield();
        map.abort_all();
        while (const auto next = co_await map.async_join_next())
            aborted += test::cancelled_as(next->result) == cancel_reason::aborted;
    });
    EXPECT_EQ(aborted, count);
}

TEST(AwaitablesOnALocalSet, WhichIsGoneMayStillEndElsewhere)
{
    asio::io_context elsewhere;
    journal frames;
    bool waits = false;
    std::optional<local_set> local(std::in_place);
    join_map<int, int> map(local->get_executor());
    map.spawn(1, [&, held = tracked(frames)]() -> asio::awaitable<int> {
        waits = true;
        co_await asio::post(asio::bind_executor(elsewhere, asio::use_awaitable));
        co_return 1;
    });
    local->run_until([&]() -> task<> {
        while (!waits)
            co_await this_task::yield();
    });
    local.reset();
    EXPECT_FALSE(map.try_join_next());
    elsewhere.run();
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(test::cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
}

} // namespace
