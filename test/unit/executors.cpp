// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include <joinery/block_on.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

task<int> failing()
{
    throw std::domain_error("own");
    co_return 0;
}

asio::awaitable<int> awaitable_of(int value)
{
    co_return value;
}

// -- what all three that run work to its end have in common ----------------------------------------------------------

struct on_block_on {
    template<class Work>
    auto operator()(Work&& work)
    {
        return block_on(std::forward<Work>(work));
    }
};

struct on_local_set {
    template<class Work>
    auto operator()(Work&& work)
    {
        return local.run_until(std::forward<Work>(work));
    }
    local_set local;
};

struct on_runtime {
    template<class Work>
    auto operator()(Work&& work)
    {
        return workers.block_on(std::forward<Work>(work));
    }
    runtime workers{1};
};

template<class Runner>
class RunWork : public ::testing::Test {
protected:
    Runner run_;
};

using runners = ::testing::Types<on_block_on, on_local_set, on_runtime>;
TYPED_TEST_SUITE(RunWork, runners);

TYPED_TEST(RunWork, ReturnsTheValueOfEachKindOfWork)
{
    EXPECT_EQ(this->run_(give(1)), 1);
    EXPECT_EQ(this->run_(awaitable_of(2)), 2);
    EXPECT_EQ(this->run_([] { return give(3); }), 3);
    EXPECT_EQ(this->run_([] { return awaitable_of(4); }), 4);
    EXPECT_EQ(this->run_([] { return 5; }), 5);
    auto operation = asio::post(asio::system_executor(), asio::deferred);
    static_assert(std::is_void_v<decltype(this->run_(std::move(operation)))>);
    this->run_(std::move(operation));
}

TYPED_TEST(RunWork, ReturnsNothingAndWhatCanOnlyBeMoved)
{
    bool ran = false;
    this->run_([&ran]() -> task<> {
        co_await this_task::yield();
        ran = true;
    });
    EXPECT_TRUE(ran);
    EXPECT_EQ(*this->run_([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(6); }), 6);
}

TYPED_TEST(RunWork, ThrowsTheWorksOwnException)
{
    EXPECT_THROW(this->run_(failing()), std::domain_error);
    EXPECT_THROW(this->run_([]() -> int { throw std::range_error("own"); }), std::range_error);
    EXPECT_EQ(this->run_(give(1)), 1) << "and can be used again";
}

TYPED_TEST(RunWork, RefusesWorkThatIsNull)
{
    EXPECT_THROW(this->run_(task<int>()), std::invalid_argument);
    EXPECT_THROW(this->run_(std::function<int()>()), std::invalid_argument);
}

TYPED_TEST(RunWork, DestroysTheWorkBeforeItReturns)
{
    journal lives;
    this->run_([held = tracked(lives)]() mutable -> task<> {
        const tracked inner(std::move(held));
        co_await this_task::yield();
    });
    EXPECT_EQ(lives.alive(), 0);
}

TYPED_TEST(RunWork, GivesTheTaskAnExecutorOnWhichAMapHasItsTasks)
{
    this->run_([]() -> task<> {
        const std::thread::id here = std::this_thread::get_id();
        const asio::any_io_executor home = co_await asio::this_coro::executor;
        int_map map(home);
        map.spawn(1, [here]() -> task<int> {
            co_await this_task::sleep_for(1us);
            co_return std::this_thread::get_id() == here;
        });
        const auto next = co_await map.async_join_next();
        EXPECT_TRUE(next && next->result.value());
    });
}

// -- block_on --------------------------------------------------------------------------------------------------------

TEST(BlockOn, RunsOnTheCallingThreadAndEndsWhatIsLeftAsExecutorGone)
{
    journal lives;
    std::optional<int_map> map;
    const std::thread::id here = std::this_thread::get_id();
    block_on([&]() -> task<> {
        EXPECT_EQ(std::this_thread::get_id(), here);
        map.emplace(co_await asio::this_coro::executor);
        map->spawn(1, hold(tracked(lives)));
        co_await this_task::yield();
    });
    EXPECT_EQ(lives.alive(), 0);
    const auto next = map->try_join_next();
    ASSERT_TRUE(next);
    EXPECT_EQ(cancelled_as(next->result), cancel_reason::executor_gone);
}

TEST(BlockOn, MayBeUsedInsideOfItself)
{
    const int sum = block_on([]() -> task<int> {
        const int inner = block_on([]() -> task<int> {
            co_await this_task::yield();
            co_return 1;
        });
        co_return inner + 1;
    });
    EXPECT_EQ(sum, 2);
}

// -- local_set -------------------------------------------------------------------------------------------------------

class LocalSet : public ::testing::Test {
protected:
    local_set local_;
    asio::io_context elsewhere_;
};

TEST_F(LocalSet, IsCurrentOnlyWhileItRuns)
{
    EXPECT_EQ(local_set::current(), nullptr);
    local_.run_until([this] {
        EXPECT_EQ(local_set::current(), &local_);
        local_set inner;
        EXPECT_EQ(local_set::current(), &local_);
        inner.run_until([&inner] { EXPECT_EQ(local_set::current(), &inner); });
        EXPECT_EQ(local_set::current(), &local_);
    });
    EXPECT_EQ(local_set::current(), nullptr);
    bool ran = false;
    asio::post(local_.get_executor(), [&] { ran = local_set::current() == &local_; });
    local_.run();
    EXPECT_TRUE(ran);
    EXPECT_THROW(local_.run_until(failing()), std::domain_error);
    EXPECT_EQ(local_set::current(), nullptr);
}

TEST_F(LocalSet, SpawnLocalOutsideOfOneThrowsAndChangesNothing)
{
    int_map map(elsewhere_);
    join_set<int> set(elsewhere_);
    map.spawn(1, wait_forever());
    EXPECT_THROW(map.spawn_local(1, give(1)), std::logic_error);
    EXPECT_THROW(set.spawn_local(give(1)), std::logic_error);
    EXPECT_EQ(map.size(), 1u);
    EXPECT_TRUE(set.empty());
    poll(elsewhere_);
    EXPECT_FALSE(map.try_join_next()) << "another task was aborted";
}

TEST_F(LocalSet, SpawnLocalRunsOnTheCurrentOneAndSpawnLocalOnOnTheGivenOne)
{
    int_map map(elsewhere_); // whose own executor has no part in it
    local_set other;
    const auto home_is = [](asio::any_io_executor wanted) -> task<int> {
        co_return co_await asio::this_coro::executor == wanted;
    };
    local_.run_until([&]() -> task<> {
        map.spawn_local(1, home_is(local_.get_executor()));
        map.spawn_local_on(other, 2, home_is(other.get_executor()));
        co_await this_task::yield();
        const auto first = map.try_join_next();
        EXPECT_TRUE(first && first->key == 1 && first->result.value());
        EXPECT_FALSE(map.try_join_next());
    });
    other.run();
    const auto second = map.try_join_next();
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->key == 2 && second->result.value());
    join_set<int> set(elsewhere_);
    set.spawn_local_on(local_, home_is(local_.get_executor()));
    local_.run_until([&] { set.spawn_local(home_is(local_.get_executor())); });
    local_.run();
    EXPECT_TRUE(set.try_join_next() && set.try_join_next() && set.empty());
}

TEST_F(LocalSet, RunUntilLetsTheOtherTasksRunOnAndLeavesThem)
{
    int_map map(local_);
    int steps = 0;
    map.spawn(1, [&steps]() -> task<int> {
        for (;;) {
            ++steps;
            co_await this_task::yield();
        }
    });
    local_.run_until([]() -> task<> {
        for (int i = 0; i != 5; ++i)
            co_await this_task::yield();
    });
    const int seen = steps;
    EXPECT_GE(seen, 4);
    EXPECT_EQ(map.size(), 1u);
    local_.run_until([&]() -> task<> {
        while (steps == seen)
            co_await this_task::yield();
    });
    EXPECT_GT(steps, seen) << "the task was not left where it was";
}

TEST_F(LocalSet, RunWaitsForOperationsButNotForTasksThatSleepForEver)
{
    int_map map(local_);
    map.spawn(1, [this]() -> task<int> {
        asio::steady_timer timer(local_.get_executor(), 1ms);
        co_await timer.async_wait(asio::deferred);
        co_return 1;
    });
    map.spawn(2, wait_forever());
    local_.run();
    const auto next = map.try_join_next();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->key, 1);
    EXPECT_FALSE(map.try_join_next());
    local_.run();
    EXPECT_EQ(map.size(), 1u);
}

TEST_F(LocalSet, RunWaitsForOperationsOfOtherContexts)
{
    asio::thread_pool elsewhere(1);
    join_set<int> set(local_);
    for (int i = 0; i != 100; ++i) {
        set.spawn([&elsewhere]() -> task<int> {
            co_await asio::post(elsewhere, asio::deferred);
            co_return 1;
        });
        local_.run();
        const auto next = set.try_join_next();
        ASSERT_TRUE(next);
        EXPECT_EQ(next->result.value(), 1);
    }
}

TEST_F(LocalSet, MayEndWhileAnotherThreadStillHandsAnOperationBack)
{
    asio::thread_pool elsewhere(1);
    for (int i = 0; i != 200; ++i) {
        block_on([&elsewhere]() -> task<> { co_await asio::post(elsewhere, asio::deferred); });
        block_on([&elsewhere]() -> asio::awaitable<void> { co_await asio::post(elsewhere, asio::use_awaitable); });
        runtime(1).block_on([&elsewhere]() -> task<> { co_await asio::post(elsewhere, asio::deferred); });
    }
}

TEST_F(LocalSet, ItsExecutorMayOutliveIt)
{
    std::optional<local_set> set(std::in_place);
    const asio::any_io_executor executor = set->get_executor();
    set.reset();
    const auto lives = std::make_shared<int>();
    asio::post(executor, [lives] { FAIL() << "there is nothing to run it"; });
    EXPECT_EQ(lives.use_count(), 1);
}

TEST_F(LocalSet, CannotBeRunByItsOwnTasksOrHandlers)
{
    EXPECT_THROW(local_.run_until([this] { return local_.run_until(give(1)); }), std::logic_error);
    EXPECT_THROW(local_.run_until([this] { return local_.run(); }), std::logic_error);
    bool refused = false;
    asio::post(local_.get_executor(), [&] {
        try {
            local_.run();
        } catch (const std::logic_error&) {
            refused = true;
        }
    });
    local_.run();
    EXPECT_TRUE(refused);
    EXPECT_EQ(local_.run_until(give(1)), 1);
}

TEST_F(LocalSet, RunUntilAbortsItsWorkWhenAHandlerThrows)
{
    journal lives;
    asio::post(local_.get_executor(), [] { throw std::domain_error("a handler's"); });
    EXPECT_THROW(local_.run_until(hold(tracked(lives))), std::domain_error);
    EXPECT_EQ(local_.run_until(give(1)), 1);
    EXPECT_EQ(lives.alive(), 0);
    EXPECT_EQ(local_set::current(), nullptr);
}

TEST_F(LocalSet, ItsEndCancelsWhatIsLeftAsExecutorGone)
{
    journal lives;
    int_map map(elsewhere_);
    {
        local_set gone;
        map.spawn_local_on(gone, 1, hold(tracked(lives)));
        gone.run();
        map.spawn_local_on(gone, 2, hold(tracked(lives))); // never begins
        map.spawn_local_on(gone, 3, [&lives]() -> task<int> {
            const tracked local(lives);
            co_await this_task::sleep_for(1h);
            co_return 0;
        });
        gone.run_until([]() -> task<> { co_await this_task::yield(); });
        map.spawn_local_on(gone, 4, give(1));
    }
    EXPECT_EQ(lives.alive(), 0);
    for (int i = 0; i != 4; ++i) {
        const auto next = map.try_join_next();
        ASSERT_TRUE(next);
        EXPECT_EQ(cancelled_as(next->result), cancel_reason::executor_gone) << next->key;
    }
}

TEST_F(LocalSet, ItsEndCancelsWhatItsTasksWaitForElsewhere)
{
    journal lives;
    int_map map(elsewhere_);
    asio::steady_timer timer(elsewhere_, 24h);
    {
        local_set gone;
        map.spawn_local_on(gone, 1, [&timer, held = tracked(lives)]() -> task<int> {
            co_await timer.async_wait(asio::deferred);
            co_return 0;
        });
        gone.run_until([]() -> task<> { co_await this_task::yield(); });
    }
    EXPECT_EQ(lives.alive(), 1) << "the operation goes on";
    run(elsewhere_);
    EXPECT_EQ(lives.alive(), 0);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::executor_gone);
}

// -- runtime ---------------------------------------------------------------------------------------------------------

TEST(Runtime, HasTheWorkersThatItWasGivenOrOneForEachCore)
{
    EXPECT_EQ(runtime(3).worker_count(), 3u);
    EXPECT_GE(runtime().worker_count(), 1u);
}

TEST(Runtime, TakesMapsAndWorkByItselfAndByItsExecutor)
{
    runtime workers(2);
    EXPECT_EQ(workers.get_executor(), workers.get_executor());
    EXPECT_EQ(&asio::query(workers.get_executor(), asio::execution::context), &workers);
    asio::io_context context;
    int_map of_runtime(workers);
    int_map of_executor(workers.get_executor());
    int_map of_context(context);
    of_runtime.spawn(1, give(1));
    of_executor.spawn(1, give(1));
    of_context.spawn_on(workers, 1, give(1));
    EXPECT_TRUE(get(of_runtime.async_join_next(asio::use_future)));
    EXPECT_TRUE(get(of_executor.async_join_next(asio::use_future)));
    EXPECT_TRUE(get(of_context.async_join_next(asio::use_future)));
    int_map of_erased(asio::any_io_executor(workers.get_executor()));
    of_erased.spawn(1, give(1));
    EXPECT_TRUE(get(of_erased.async_join_next(asio::use_future)));
}

// -- blocking_pool ---------------------------------------------------------------------------------------------------

TEST(BlockingPool, StartsNoThreadBeforeTheFirstFunction)
{
    blocking_pool pool;
    EXPECT_EQ(pool.thread_count(), 0u);
    asio::io_context context;
    int_map map(context);
    map.spawn_blocking_on(pool, 1, [] { return 1; });
    EXPECT_EQ(pool.thread_count(), 1u);
    bool joined = false;
    map.async_join_next([&](boost::system::error_code, auto next) { joined = next && next->result.value() == 1; });
    run_until(context, [&] { return joined; });
}

TEST(BlockingPool, RefusesANullFunctionAndChangesNothing)
{
    blocking_pool pool;
    asio::io_context context;
    int_map map(context);
    EXPECT_THROW(map.spawn_blocking_on(pool, 1, std::function<int()>()), std::invalid_argument);
    EXPECT_THROW(map.spawn_blocking(1, std::function<int(std::stop_token)>()), std::invalid_argument);
    EXPECT_TRUE(map.empty());
    EXPECT_EQ(pool.thread_count(), 0u);
}

} // namespace
} // namespace joinery::test
