// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What a set has of its own. What it shares with a map is tested there; here is one of each.

#include <joinery/join_set.hpp>

#include <counting_executor.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using error_code = boost::system::error_code;
using set_type = join_set<int>;

// -- as a map, without keys --------------------------------------------------------------------------------------

TEST(JoinSetSpawn, KeepsEachTaskUntilItIsJoined)
{
    asio::io_context context;
    set_type set(context);
    std::vector<abort_handle> handles;
    for (int i = 0; i != 1000; ++i)
        handles.push_back(set.spawn(give(i)));
    EXPECT_EQ(set.size(), 1000u);
    EXPECT_GE(set.capacity(), 1000u);
    run(context);
    for (int i = 0; i != 1000; ++i) {
        const abort_handle& handle = handles[static_cast<std::size_t>(i)];
        EXPECT_TRUE(set.contains_task(handle.id()));
        const auto joined = set.try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_EQ(joined->id, handle.id());
        EXPECT_EQ(joined->result.value(), i);
        EXPECT_FALSE(set.contains_task(handle.id()));
    }
    EXPECT_TRUE(set.empty());
    EXPECT_FALSE(set.try_join_next());
}

TEST(JoinSetSpawn, HasEachWayOfSpawning)
{
    asio::io_context context;
    asio::io_context elsewhere;
    local_set current;
    local_set other;
    blocking_pool pool;
    set_type set(context);
    EXPECT_THROW(set.spawn_local(give(1)), std::logic_error);
    EXPECT_TRUE(set.empty());
    set.spawn(give(1));
    set.spawn_on(elsewhere, give(2));
    set.spawn_on(asio::make_strand(elsewhere), [] { return 3; });
    current.run_until([&] { set.spawn_local(give(4)); });
    set.spawn_local_on(other, give(5));
    set.spawn_blocking([] { return 6; });
    set.spawn_blocking_on(pool, [](std::stop_token) { return 7; });
    EXPECT_EQ(set.size(), 7u);
    std::set<int> values;
    std::optional<std::vector<set_type::joined>> all;
    set.async_join_all([&](error_code, auto joined) { all = std::move(joined); });
    poll(elsewhere);
    current.run();
    other.run();
    run_until(context, [&] { return all.has_value(); });
    ASSERT_TRUE(all);
    for (const auto& joined : *all)
        values.insert(joined.result.value());
    EXPECT_EQ(values, (std::set{1, 2, 3, 4, 5, 6, 7}));
}

TEST(JoinSetSpawn, LeavesTheSetAsItWasWhenTheExecutorRefuses)
{
    asio::io_context context;
    executor_record record;
    set_type set(serial_counting_executor(context, record));
    record.refuses = true;
    EXPECT_THROW(set.spawn(give(1)), executor_refused);
    EXPECT_TRUE(set.empty());
    record.refuses = false;
    set.spawn(give(2));
    run(context);
    EXPECT_EQ(set.try_join_next()->result.value(), 2);
    EXPECT_FALSE(set.try_join_next());
}

TEST(JoinSetAbort, MatchingTellsThoseWhoseIdMatches)
{
    asio::io_context context;
    set_type set(context);
    std::set<task_id> chosen;
    for (int i = 0; i != 10; ++i) {
        const abort_handle handle = set.spawn(wait_forever());
        if (i % 3 == 0)
            chosen.insert(handle.id());
    }
    poll(context);
    const auto matches = [&](task_id id) {
        set.spawn(wait_forever()); // the predicate may use the set
        return chosen.contains(id);
    };
    EXPECT_EQ(set.abort_matching(matches), 4u);
    EXPECT_EQ(set.size(), 20u);
    run(context);
    while (const auto joined = set.try_join_next()) {
        EXPECT_EQ(cancelled_as(joined->result), cancel_reason::aborted);
        EXPECT_EQ(chosen.erase(joined->id), 1u);
    }
    EXPECT_TRUE(chosen.empty());
    EXPECT_EQ(set.abort_all(), 16u);
}

TEST(JoinSetLifetime, EndsItsTasksAndItsJoinsWithItself)
{
    journal frames;
    asio::io_context context;
    std::optional<set_type> set(context);
    error_code next;
    error_code all;
    set->spawn(hold(tracked(frames)));
    set->async_join_next([&](error_code error, auto) { next = error; });
    set->async_join_all([&](error_code error, auto) { all = error; });
    poll(context);
    set_type moved(std::move(*set));
    set.reset();
    poll(context);
    EXPECT_FALSE(next);
    EXPECT_EQ(frames.alive(), 1);
    moved = set_type(context);
    poll(context);
    EXPECT_EQ(next, asio::error::operation_aborted);
    EXPECT_EQ(all, asio::error::operation_aborted);
    EXPECT_EQ(frames.alive(), 0);
}

TEST(JoinSetLifetime, ItsTasksEndWithTheirContext)
{
    journal frames;
    std::optional<asio::io_context> context(std::in_place);
    set_type set(*context);
    set.spawn(hold(tracked(frames)));
    poll(*context);
    set.spawn(hold(tracked(frames)));
    context.reset();
    EXPECT_EQ(frames.alive(), 0);
    for (int i = 0; i != 2; ++i)
        EXPECT_EQ(cancelled_as(set.try_join_next()->result), cancel_reason::executor_gone);
}

TEST(JoinSetDetachAll, TheTasksRunOn)
{
    asio::io_context context;
    bool ran = false;
    set_type set(context);
    set.spawn([&] {
        ran = true;
        return 1;
    });
    set.detach_all();
    EXPECT_TRUE(set.empty());
    run(context);
    EXPECT_TRUE(ran);
    EXPECT_FALSE(set.try_join_next());
}

TEST(JoinSetShutdown, AbortsAndWaitsForAll)
{
    journal frames;
    asio::io_context context;
    set_type set(context);
    for (int i = 0; i != 3; ++i)
        set.spawn(hold(tracked(frames)));
    poll(context);
    bool ended = false;
    set.async_shutdown([&](error_code error) {
        EXPECT_FALSE(error);
        EXPECT_EQ(frames.alive(), 0);
        ended = true;
    });
    EXPECT_TRUE(set.empty());
    run(context);
    EXPECT_TRUE(ended);
}

// -- async_join_all ----------------------------------------------------------------------------------------------

struct JoinSetJoinAll : testing::Test {
    /// A handler that notes the values in their order; -1 for a task without one.
    auto note()
    {
        return [this](error_code e, std::vector<set_type::joined> joined) {
            error = e;
            values.emplace();
            for (const auto& each : joined)
                values->push_back(each.result.has_value() ? each.result.value() : -1);
        };
    }

    asio::io_context context;
    set_type set{context};
    manual_event first{context.get_executor()};
    manual_event second{context.get_executor()};
    error_code error;
    std::optional<std::vector<int>> values;
};

TEST_F(JoinSetJoinAll, YieldsEveryTaskInTheOrderInWhichTheyEnded)
{
    set.spawn(wait(first, 1));
    set.spawn(wait(second, 2));
    set.spawn(give(3));
    const abort_handle last = set.spawn(wait_forever());
    set.async_join_all(note());
    poll(context);
    second.complete();
    poll(context);
    first.complete();
    poll(context);
    EXPECT_FALSE(values);
    EXPECT_EQ(set.size(), 4u);
    last.abort();
    run(context);
    EXPECT_EQ(values, (std::vector{3, 2, 1, -1}));
    EXPECT_FALSE(error);
    EXPECT_TRUE(set.empty());
}

TEST_F(JoinSetJoinAll, YieldsNothingWhenTheSetIsEmptyAndNotWithinTheCall)
{
    set.async_join_all(note());
    EXPECT_FALSE(values);
    run(context);
    EXPECT_EQ(values, std::vector<int>());
    EXPECT_FALSE(error);
}

TEST_F(JoinSetJoinAll, WaitsForWhatIsSpawnedMeanwhile)
{
    set.spawn(wait(first, 1));
    set.async_join_all(note());
    poll(context);
    set.spawn(wait(second, 2));
    first.complete();
    poll(context);
    EXPECT_FALSE(values);
    second.complete();
    run(context);
    EXPECT_EQ(values, (std::vector{1, 2}));
}

TEST_F(JoinSetJoinAll, KeepsEveryResultWhenItIsCancelled)
{
    for (const bool on_its_way : {false, true}) {
        for (const auto type :
             {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
            asio::cancellation_signal signal;
            values.reset();
            set.spawn(give(1));
            const abort_handle waiting = set.spawn(wait(first, 2));
            poll(context);
            set.async_join_all(asio::bind_cancellation_slot(signal.slot(), note()));
            first.complete();
            if (on_its_way)
                run_until(context, [&] { return waiting.is_finished(); });
            signal.emit(type);
            run(context);
            EXPECT_EQ(error, asio::error::operation_aborted);
            EXPECT_EQ(values, std::vector<int>());
            EXPECT_EQ(set.size(), 2u);
            set.async_join_all(note());
            run(context);
            EXPECT_FALSE(error);
            EXPECT_EQ(values, (std::vector{1, 2}));
        }
    }
}

TEST_F(JoinSetJoinAll, LosesNoResultToATaskThatIsAborted)
{
    set.spawn(wait(first, 1));
    join_set<void> owners(context);
    const abort_handle owner = owners.spawn([&]() -> task<> {
        co_await set.async_join_all();
        ADD_FAILURE() << "resumed";
    });
    poll(context);
    first.complete_here(); // the operation is on its way to its handler
    EXPECT_TRUE(owner.abort());
    run(context);
    EXPECT_TRUE(owner.is_finished());
    EXPECT_EQ(set.try_join_next()->result.value(), 1);
}

TEST_F(JoinSetJoinAll, SharesTheTasksWithJoinsOfOne)
{
    set.spawn(wait(first, 1));
    set.spawn(wait(second, 2));
    std::optional<int> one;
    set.async_join_next([&](error_code, auto joined) { one = joined->result.value(); });
    set.async_join_all(note());
    poll(context);
    first.complete();
    poll(context);
    EXPECT_EQ(one, 1);
    EXPECT_FALSE(values);
    second.complete();
    run(context);
    EXPECT_EQ(values, std::vector{2});
}

TEST_F(JoinSetJoinAll, HearsOfAShutdown)
{
    set.spawn(wait_forever());
    set.async_join_all(note());
    set.async_shutdown([](error_code) {});
    run(context);
    EXPECT_EQ(values, std::vector<int>());
    EXPECT_FALSE(error);
}

TEST_F(JoinSetJoinAll, YieldsValuesThatCanOnlyBeMoved)
{
    join_set<std::unique_ptr<int>> owners(context);
    owners.spawn([] { return std::make_unique<int>(7); });
    std::vector<join_set<std::unique_ptr<int>>::joined> all;
    owners.async_join_all([&](error_code, auto joined) { all = std::move(joined); });
    run(context);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(*all[0].result.value(), 7);
}

} // namespace
