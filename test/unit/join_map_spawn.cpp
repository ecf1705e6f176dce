// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>

#include <counting_executor.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

// -- what a task is spawned as ---------------------------------------------------------------------------

TEST(JoinMapSpawn, NothingOfTheTaskRunsWithinTheCall)
{
    asio::io_context context;
    join_map<int, int> map(context);
    bool entered = false;
    asio::post(context, [&] {
        map.spawn(1, [&]() -> task<int> {
            entered = true;
            co_return 1;
        });
        map.spawn(2, [&] {
            entered = true;
            return 2;
        });
        EXPECT_FALSE(entered);
    });
    run(context);
    EXPECT_TRUE(entered);
}

TEST(JoinMapSpawn, TheHandleNamesTheTaskThatIsJoined)
{
    asio::io_context context;
    join_map<std::string, int> map(context);
    const abort_handle one = map.spawn("one", give(1));
    const abort_handle two = map.spawn("two", give(2));
    EXPECT_NE(one.id(), two.id());
    EXPECT_FALSE(one.is_finished());
    run(context);
    EXPECT_TRUE(one.is_finished());
    for (int i = 0; i != 2; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_EQ(joined->id, joined->key == "one" ? one.id() : two.id());
        EXPECT_EQ(joined->result.value(), joined->key == "one" ? 1 : 2);
    }
    EXPECT_FALSE(map.try_join_next());
}

TEST(JoinMapSpawn, RefusesNullWorkAndLeavesTheOldTask)
{
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle old = map.spawn(1, wait_forever());
    task<int> gone = give(1);
    const task<int> taken = std::move(gone);
    EXPECT_THROW(map.spawn(1, std::function<int()>()), std::invalid_argument);
    EXPECT_THROW(map.spawn(1, std::function<task<int>()>()), std::invalid_argument);
    EXPECT_THROW(map.spawn(1, std::move(gone)), std::invalid_argument);
    EXPECT_THROW(map.spawn(2, static_cast<int (*)()>(nullptr)), std::invalid_argument);
    EXPECT_THROW(map.spawn_blocking(1, std::function<int()>()), std::invalid_argument);
    run(context);
    EXPECT_EQ(map.size(), 1u);
    EXPECT_TRUE(map.contains_task(old.id()));
    EXPECT_FALSE(old.is_finished());
}

TEST(JoinMapSpawn, SpawnLocalOutsideOfALocalSetThrowsAndLeavesTheOldTask)
{
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle old = map.spawn(1, wait_forever());
    EXPECT_THROW(map.spawn_local(1, give(1)), std::logic_error);
    EXPECT_THROW(map.spawn_local(2, give(1)), std::logic_error);
    poll(context);
    EXPECT_EQ(map.size(), 1u);
    EXPECT_FALSE(old.is_finished());
}

asio::execution_context& context_of(const asio::any_io_executor& executor)
{
    return asio::query(executor, asio::execution::context);
}

TEST(JoinMapSpawn, SpawnLocalRunsOnTheCurrentLocalSetAndOnTheGivenOne)
{
    asio::io_context context;
    join_map<int, asio::execution_context*> map(context);
    local_set current;
    local_set other;
    const auto where = []() -> task<asio::execution_context*> {
        co_return &context_of(co_await asio::this_coro::executor);
    };
    current.run_until([&] {
        map.spawn_local(1, where());
        map.spawn_local_on(other, 2, where());
        map.spawn(3, where());
    });
    run(context);
    current.run();
    other.run();
    std::vector<const asio::execution_context*> homes(4);
    while (const auto joined = map.try_join_next())
        homes.at(static_cast<std::size_t>(joined->key)) = joined->result.value();
    EXPECT_EQ(homes[1], &context_of(current.get_executor()));
    EXPECT_EQ(homes[2], &context_of(other.get_executor()));
    EXPECT_EQ(homes[3], &context);
}

TEST(JoinMapSpawn, SpawnOnRunsTheTaskOnTheGivenExecutor)
{
    asio::io_context context;
    asio::io_context other;
    join_map<int, int> map(context);
    map.spawn_on(other, 1, give(1));
    map.spawn_on(asio::make_strand(other), 2, give(2));
    map.spawn_on(other.get_executor(), 3, give(3));
    run(context);
    EXPECT_FALSE(map.try_join_next());
    run(other);
    EXPECT_EQ(map.size(), 3u);
    for (int i = 0; i != 3; ++i)
        EXPECT_TRUE(map.try_join_next());
}

TEST(JoinMapSpawn, BlockingFunctionsRunOnAThreadOfTheirOwnAndAreJoinedByTheContext)
{
    asio::io_context context;
    blocking_pool pool;
    join_map<int, std::thread::id> map(context);
    map.spawn_blocking(1, [] { return std::this_thread::get_id(); });
    map.spawn_blocking_on(pool, 2, [](std::stop_token) { return std::this_thread::get_id(); });
    const std::thread::id here = std::this_thread::get_id();
    std::vector<std::thread::id> threads;
    const auto note = [&](boost::system::error_code error, auto joined) {
        EXPECT_FALSE(error);
        EXPECT_EQ(std::this_thread::get_id(), here);
        threads.push_back(joined->result.value());
    };
    map.async_join_next(note);
    map.async_join_next(note);
    run_until(context, [&] { return threads.size() == 2; });
    ASSERT_EQ(threads.size(), 2u);
    EXPECT_NE(threads[0], here);
    EXPECT_NE(threads[1], here);
    EXPECT_NE(threads[0], threads[1]);
}

// -- values and keys -------------------------------------------------------------------------------------

TEST(JoinMapSpawn, AValueNeedNotBeCopyableNorDefaultConstructible)
{
    journal values;
    static_assert(!std::is_default_constructible_v<tracked> && !std::is_copy_constructible_v<tracked>);
    {
        asio::io_context context;
        join_map<int, tracked> map(context);
        map.spawn(1, [&]() -> task<tracked> { co_return tracked(values, "task"); });
        map.spawn(2, [&]() -> asio::awaitable<tracked> { co_return tracked(values, "awaitable"); });
        map.spawn(3, [&] { return tracked(values, "function"); });
        map.spawn(4, [&]() -> task<tracked> { co_return tracked(values, "not joined"); });
        run(context);
        EXPECT_EQ(values.alive(), 4);
        for (int i = 0; i != 3; ++i) {
            const auto joined = map.try_join_next();
            ASSERT_TRUE(joined && joined->result.has_value());
        }
        EXPECT_EQ(values.alive(), 1);
    }
    EXPECT_EQ(values.alive(), 0);
}

TEST(JoinMapSpawn, AMapOfVoidDropsWhatItsWorkYields)
{
    journal values;
    asio::io_context context;
    join_map<int, void> map(context);
    map.spawn(1, [&]() -> task<tracked> { co_return tracked(values); });
    map.spawn(2, [&] { return tracked(values); });
    map.spawn(3, []() -> task<> {
        throw std::runtime_error("mine");
        co_return;
    });
    map.spawn(4, asio::post(context, asio::deferred));
    run(context);
    EXPECT_EQ(values.begun(), 2);
    EXPECT_EQ(values.alive(), 0);
    while (auto joined = map.try_join_next()) {
        if (joined->key == 3) {
            EXPECT_THROW(joined->result.value(), std::runtime_error);
        } else {
            EXPECT_NO_THROW(joined->result.value());
        }
    }
}

TEST(JoinMapSpawn, AKeyThatCanOnlyBeMovedComesBackWithItsResult)
{
    asio::io_context context;
    join_map<std::unique_ptr<int>, int> map(context);
    auto key = std::make_unique<int>(7);
    const int* const address = key.get();
    map.spawn(std::move(key), give(1));
    run(context);
    const auto joined = map.try_join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->key.get(), address);
}

// -- executors -------------------------------------------------------------------------------------------

TEST(JoinMapSpawn, TheTypeOfTheExecutorMayBeAnyOfAsios)
{
    asio::io_context context;
    using context_executor = asio::io_context::executor_type;
    using strand = asio::strand<context_executor>;
    join_map<int, int, keyed_hash<int>, std::equal_to<>, context_executor> plain(context);
    join_map<int, int, keyed_hash<int>, std::equal_to<>, strand> serial(asio::make_strand(context));
    join_map<int, int>::rebind_executor<context_executor>::other rebound(context.get_executor());
    join_map<int, int> erased(asio::any_io_executor(asio::make_strand(context)));
    static_assert(std::is_same_v<decltype(plain.get_executor()), context_executor>);
    static_assert(std::is_same_v<decltype(serial.get_executor()), strand>);
    EXPECT_EQ(plain.get_executor(), context.get_executor());
    int joined = 0;
    const auto count = [&](boost::system::error_code, auto next) { joined += next && next->result.has_value(); };
    const auto use = [&](auto& map) {
        map.spawn(1, give(1));
        map.spawn(2, []() -> task<int> {
            co_await this_task::sleep_for(std::chrono::seconds(0));
            co_return 2;
        });
        map.async_join_next(count);
        map.async_join_next(count);
    };
    use(plain);
    use(serial);
    use(rebound);
    use(erased);
    run(context);
    EXPECT_EQ(joined, 8);
}

TEST(JoinMapSpawn, ABurstOfTasksIsOnePostToASerialExecutor)
{
    asio::io_context context;
    executor_record record;
    join_map<int, int> map(serial_counting_executor(context, record));
    for (int i = 0; i != 100; ++i)
        map.spawn(i, give(i));
    EXPECT_EQ(record.posts, 1u);
    EXPECT_EQ(poll(context), 1u);
    EXPECT_EQ(map.size(), 100u);
    for (int i = 0; i != 100; ++i)
        EXPECT_EQ(map.try_join_next()->key, i);
    map.spawn(1, give(1));
    EXPECT_EQ(record.posts, 2u);
}

TEST(JoinMapSpawn, ALongBurstGivesWayToTheOtherHandlersOfTheExecutor)
{
    asio::io_context context;
    executor_record record;
    join_map<int, int> map(serial_counting_executor(context, record));
    int ended = 0;
    int ended_before_handler = -1;
    for (int i = 0; i != 1000; ++i)
        map.spawn(i, [&] { return ++ended; });
    asio::post(context, [&] { ended_before_handler = ended; });
    run(context);
    EXPECT_EQ(ended, 1000);
    EXPECT_GT(ended_before_handler, 0);
    EXPECT_LE(ended_before_handler, 256);
    EXPECT_LE(record.posts, 16u);
}

TEST(JoinMapSpawn, TasksThatYieldForEverKeepOutNeitherOthersNorHandlers)
{
    asio::io_context context;
    join_map<int, int> map(asio::make_strand(context));
    bool goes_on = true;
    for (int i = 0; i != 2; ++i) {
        map.spawn(i, [&]() -> task<int> {
            while (goes_on)
                co_await this_task::yield();
            co_return 0;
        });
    }
    asio::post(context, [&] {
        map.spawn(3, [&] {
            asio::post(context, [&] { goes_on = false; });
            return 3;
        });
    });
    run(context);
    EXPECT_EQ(map.try_join_next()->key, 3);
}

TEST(JoinMapSpawn, ATaskThatComputesHoldsBackNoOtherOnAConcurrentExecutor)
{
    asio::io_context context;
    executor_record record;
    join_map<int, int> map(concurrent_counting_executor(context, record));
    bool other_ran = false;
    map.spawn(1, [&] {
        context.poll(); // as another thread would
        EXPECT_TRUE(other_ran);
        return 1;
    });
    map.spawn(2, [&] {
        other_ran = true;
        return 2;
    });
    run(context);
    EXPECT_EQ(map.try_join_next()->key, 2);
}

} // namespace
