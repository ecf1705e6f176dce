// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Points in time that tasks wait for: their queue, without an executor and with a clock that is moved by hand, and what
// tasks that sleep mean to the home that they sleep on.

#include "allocations.hpp"

#include <homes.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/detail/timer_queue.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <future>
#include <latch>
#include <map>
#include <new>
#include <optional>
#include <ostream>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace joinery;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using detail::timer_node;
using detail::timer_queue;
using test::journal;
using test::tracked;
using time_point = timer_node::clock::time_point;

// -- the queue ---------------------------------------------------------------------------------------------

class idle_timer final : public timer_node {
public:
    idle_timer(char letter, int deadline)
        : timer_node(time_point(std::chrono::seconds(deadline)))
        , name(letter)
    {
    }

    void expired() noexcept override
    {
    }

    void abandoned() noexcept override
    {
    }

    const char name;
};

/// What is done to a queue, and what it answers: "a5 b3 4@=b -b=no ?=5".
/** `a5` starts a timer for second 5, `-a` stops it, `4@` names what is due in second 4, `?` the earliest deadline. */
struct script {
    std::string name;
    std::string rows;

    friend std::ostream& operator<<(std::ostream& out, const script& shown)
    {
        return out << shown.rows;
    }
};

class TimerQueue : public testing::TestWithParam<script> {
protected:
    std::string answer(const std::string& row)
    {
        if (row == "?")
            return queue.empty() ? "none" : std::to_string(queue.earliest().time_since_epoch() / 1s);
        if (row[0] == '-')
            return queue.erase(timers.at(row[1])) ? "yes" : "no";
        if (row.back() != '@') {
            const auto [place, is_new] = timers.try_emplace(row[0], row[0], std::stoi(row.substr(1)));
            EXPECT_TRUE(is_new || !place->second.is_linked());
            queue.insert(place->second);
            return "";
        }
        std::string due;
        while (timer_node* const node = queue.pop_due(time_point(std::chrono::seconds(std::stoi(row)))))
            due += static_cast<idle_timer&>(*node).name;
        return due;
    }

    std::map<char, idle_timer> timers;
    timer_queue queue;
};

TEST_P(TimerQueue, AnswersAsTheTableSays)
{
    std::istringstream rows(GetParam().rows);
    for (std::string row; rows >> row;) {
        const std::size_t sign = std::min(row.find('='), row.size());
        const std::string expected = sign == row.size() ? "" : row.substr(sign + 1);
        ASSERT_EQ(answer(row.substr(0, sign)), expected) << "at " << row << " of " << GetParam().rows;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Tables, TimerQueue,
    testing::Values(script{"IsEmptyAtFirst", "?=none 9@"}, script{"KnowsTheEarliest", "b3 ?=3 a5 ?=3 c1 ?=1 1@=c ?=3"},
                    script{"GivesNoneBeforeItsTime", "a2 b3 1@ 2@=a 2@ 3@=b ?=none"},
                    script{"GivesTheEarliestFirst", "a5 b3 c4 d1 e2 4@=debc 9@=a"},
                    script{"GivesEqualOnesInTheOrderInWhichTheyCame", "a5 b3 c5 d3 e3 f5 9@=bdeacf"},
                    script{"GivesWhatIsInThePastAtOnce", "a7 b0 0@=b c-3 0@=c ?=7"},
                    script{"ForgetsWhatIsStopped", "a1 b2 c3 -b=yes 9@=ac"},
                    script{"StopsTheEarliest", "a1 b2 -a=yes ?=2 1@ 2@=b"},
                    script{"StopsTheLast", "a1 -a=yes ?=none 9@"},
                    script{"StopsNothingTwice", "a1 b1 -a=yes -a=no 9@=b"},
                    script{"StopsNothingWhoseTimeHasCome", "a1 b2 1@=a -a=no -b=yes"},
                    script{"TakesANodeAgain", "a1 1@=a a1 ?=1 -a=yes a1 b1 9@=ab"}),
    [](const auto& tested) { return tested.param.name; });

TEST(TimerQueueOrder, IsThatOfASortWithRandomDeadlinesAndStops)
{
    std::mt19937 random(7); // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    std::deque<idle_timer> timers;
    std::multimap<int, const timer_node*> expected;
    timer_queue queue;
    for (int i = 0; i != 2000; ++i) {
        const int deadline = static_cast<int>(random() % 100);
        timer_node& node = timers.emplace_back('x', deadline);
        queue.insert(node);
        const auto place = expected.emplace(deadline, &node);
        if (random() % 3 == 0) {
            EXPECT_TRUE(queue.erase(node));
            expected.erase(place);
        }
    }
    for (const auto& [deadline, node] : expected) {
        ASSERT_EQ(queue.pop_due(time_point(std::chrono::seconds(deadline - 1))), nullptr);
        ASSERT_EQ(queue.pop_due(time_point(std::chrono::seconds(deadline))), node);
    }
    EXPECT_TRUE(queue.empty());
}

// -- tasks that sleep --------------------------------------------------------------------------------------

class Sleep : public test::each_home {};

JOINERY_TEST_ON_EACH_HOME(Sleep);

task<int> sleep_and_give(std::chrono::nanoseconds time, int value)
{
    co_await this_task::sleep_for(time);
    co_return value;
}

TEST_P(Sleep, OfManyTasksEndsForEach)
{
    join_set<int> set(home.executor());
    for (int i = 0; i != 1000; ++i)
        set.spawn(sleep_and_give(i % 7 * 100us, 1));
    int sum = 0;
    while (!set.empty())
        sum += home.next_of(set).value();
    EXPECT_EQ(sum, 1000);
}

TEST_P(Sleep, ThatIsShorterEndsWhileALongerOneLasts)
{
    join_map<int, int> map(home.executor());
    for (const auto time : {24h, 23h, 25h})
        map.spawn(static_cast<int>(time / 1h), sleep_and_give(time, 0));
    EXPECT_EQ(home.outcome_of<int>(sleep_and_give(1us, 1)).value(), 1);
    EXPECT_EQ(home.outcome_of<int>(sleep_and_give(100us, 2)).value(), 2);
    EXPECT_FALSE(map.try_join_next());
}

TEST_P(Sleep, EndsForOthersWhenTheEarliestIsAborted)
{
    journal lives;
    join_set<int> set(home.executor());
    const auto held = [&lives](std::chrono::nanoseconds time) -> task<int> {
        const tracked local(lives);
        co_await this_task::sleep_for(time);
        co_return 1;
    };
    const abort_handle early = set.spawn(held(2ms));
    set.spawn(held(3ms));
    home.run_until([&] { return lives.begun() == 2; });
    early.abort();
    std::vector<bool> ends{home.next_of(set).has_value(), home.next_of(set).has_value()};
    EXPECT_TRUE(ends == (std::vector{false, true}) || !home.is_on_this_thread());
    EXPECT_TRUE(ends[0] || ends[1]);
    EXPECT_EQ(lives.alive(), 0);
}

TEST_P(Sleep, InThePastNeitherStarvesOthersNorIsStarved)
{
    join_set<int> set(home.executor());
    std::atomic<int> yields = 0;
    std::atomic<int> naps = 0;
    for (int i = 0; i != 200; ++i) {
        set.spawn([&]() -> task<int> {
            for (int own = 0; own != 10 || yields < 2000; own = std::min(own + 1, 10), ++naps)
                co_await this_task::sleep_until(time_point::min());
            co_return 1;
        });
        set.spawn([&]() -> task<int> {
            for (int own = 0; own != 10 || naps < 2000; own = std::min(own + 1, 10), ++yields)
                co_await this_task::yield();
            co_return 1;
        });
    }
    while (!set.empty())
        EXPECT_TRUE(home.next_of(set).has_value());
}

TEST_P(Sleep, IsNoLongerThanItsHome)
{
    journal lives;
    const std::vector<std::chrono::hours> times{1h, 24h, 2h};
    std::optional<test::any_home> other(GetParam());
    join_set<int> set(other->executor());
    for (const auto time : times)
        set.spawn([&lives, time]() -> task<int> {
            const tracked local(lives);
            co_await this_task::sleep_for(time);
            co_return 0;
        });
    other->run_until([&] { return lives.begun() == 3; });
    other->outcome_of<int>(sleep_and_give(1us, 1)); // by then they sleep
    other.reset();
    EXPECT_EQ(lives.alive(), 0);
    for (int i = 0; i != 3; ++i) {
        const auto next = set.try_join_next();
        ASSERT_TRUE(next);
        EXPECT_EQ(test::cancelled_as(next->result), cancel_reason::executor_gone);
    }
}

// -- and the context that they keep at work ----------------------------------------------------------------

TEST(SleepLocalSet, KeepsRunGoingUntilItEnds)
{
    local_set local;
    join_set<int> set(local);
    set.spawn(sleep_and_give(1ms, 1));
    set.spawn(sleep_and_give(2ms, 2));
    local.run();
    EXPECT_TRUE(set.try_join_next() && set.try_join_next());
}

TEST(SleepLocalSet, KeepsRunGoingNoLongerWhenItIsAborted)
{
    local_set local;
    join_set<int> set(local);
    set.spawn(sleep_and_give(24h, 1));
    set.spawn([&set]() -> task<int> {
        co_await this_task::sleep_for(1us);
        set.abort_all();
        co_return 0;
    });
    set.spawn(sleep_and_give(std::chrono::nanoseconds::max(), 1));
    local.run();
    EXPECT_TRUE(set.try_join_next() && set.try_join_next() && set.try_join_next());
    set.spawn(sleep_and_give(1us, 1));
    local.run();
    EXPECT_TRUE(set.try_join_next());
}

TEST(SleepLocalSet, EndsInTimeWhenItsLoopHadGoneToSleepForALongerOne)
{
    local_set local;
    join_set<int> set(local);
    set.spawn(sleep_and_give(test::patience, 1));
    local.run_until([]() -> task<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1ms);
        co_await timer.async_wait(asio::deferred);
        const auto longer_ends = timer_node::clock::now() + test::patience / 2;
        co_await this_task::sleep_for(5ms);
        EXPECT_LT(timer_node::clock::now(), longer_ends);
    });
}

TEST(SleepLocalSet, AllocatesNothingForEachTask)
{
    if (!test::allocations_are_ours)
        GTEST_SKIP() << "allocations cannot be counted";
    local_set local;
    local.run_until(sleep_and_give(1us, 1)); // makes what there is one of
    join_set<int> set(local);
    for (int i = 0; i != 100; ++i)
        set.spawn(sleep_and_give(i % 2 * 10us, 1));
    const std::size_t before = test::allocation_count();
    local.run();
    EXPECT_LE(test::allocation_count() - before, 10u);
    EXPECT_TRUE(set.try_join_next());
}

TEST(SleepContext, KeepsRunGoingUntilItEndsOrIsAborted)
{
    asio::io_context context;
    join_set<int> set(context);
    set.spawn(sleep_and_give(1ms, 1));
    test::run(context);
    EXPECT_TRUE(set.try_join_next());
    const abort_handle first = set.spawn(sleep_and_give(1h, 1));
    const abort_handle second = set.spawn(sleep_and_give(24h, 1));
    test::poll(context);
    EXPECT_FALSE(context.stopped());
    first.abort();
    test::poll(context);
    EXPECT_FALSE(context.stopped());
    second.abort();
    test::run(context);
    EXPECT_TRUE(set.try_join_next() && set.try_join_next());
}

TEST(SleepContext, EndsOnOneStrandWhileAnotherIsBusy)
{
    asio::thread_pool pool(2);
    const auto busy = asio::make_strand(pool);
    join_set<int> on_busy(busy);
    join_set<int> on_other(asio::make_strand(pool));
    std::latch is_busy(1);
    std::promise<void> woken;
    std::future<void> is_woken = woken.get_future();
    on_busy.spawn(sleep_and_give(200us, 1)); // the first to sleep
    std::promise<void> asleep;
    on_busy.spawn([&]() -> task<int> {
        asleep.set_value();
        is_busy.count_down();
        test::get(std::move(is_woken));
        co_return 1;
    });
    test::get(asleep.get_future());
    is_busy.wait();
    on_other.spawn([&woken]() -> task<int> {
        co_await this_task::sleep_for(1us);
        woken.set_value();
        co_return 1;
    });
    pool.join();
    EXPECT_TRUE(on_busy.try_join_next() && on_busy.try_join_next() && on_other.try_join_next());
}

TEST(SleepContext, ThrowsIntoTheTaskWhatCannotBeAllocated)
{
    if (!test::allocations_are_ours)
        GTEST_SKIP() << "allocations cannot be made to fail";
    int thrown = 0;
    for (std::size_t after = 0; after != 20; ++after) {
        journal lives;
        asio::io_context context;
        join_set<int> set(asio::make_strand(context));
        set.spawn([&]() -> task<int> {
            const tracked local(lives);
            std::optional<test::failing_allocations> failing(after);
            try {
                co_await this_task::sleep_for(1us);
            } catch (const std::bad_alloc&) {
                ++thrown;
            }
            failing.reset();
            co_await this_task::sleep_for(1us); // is none the worse for it
            co_return 1;
        });
        test::run(context);
        const auto next = set.try_join_next();
        ASSERT_TRUE(next);
        EXPECT_TRUE(next->result || test::cancelled_as(next->result) == cancel_reason::executor_gone) << after;
        EXPECT_EQ(lives.alive(), 0);
    }
    EXPECT_GT(thrown, 0);
}

} // namespace
