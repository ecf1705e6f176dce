// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <brittle_key.hpp>
#include <counting_executor.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using error_code = boost::system::error_code;

void expect_executor_gone(join_map<int, int>& map, int count)
{
    for (int i = 0; i != count; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined) << i << " of " << count;
        EXPECT_EQ(cancelled_as(joined->result), cancel_reason::executor_gone) << "key " << joined->key;
    }
    EXPECT_TRUE(map.empty());
}

/// A map with tasks under the keys from 0 on, those of the even ones finished, those of the odd ones waiting.
/** There are as many as there is room for, so that the next one makes the index grow. */
class JoinMapSpawnThrows : public testing::Test {
protected:
    using map_type = join_map<brittle_key, int, brittle_hash, brittle_equal>;

    void SetUp() override
    {
        do
            spawn(new_key());
        while (map.size() < map.capacity());
        poll(context);
    }

    /// A successful spawn of a task that yields its key, or waits.
    void spawn(int value)
    {
        expect(value, map.spawn(key(value), work(value)));
    }

    task<int> work(int value)
    {
        return value % 2 == 0 ? give(value) : hold(tracked(frames));
    }

    void expect(int value, abort_handle handle)
    {
        if (value == new_key())
            handles.emplace_back();
        handles[static_cast<std::size_t>(value)] = std::move(handle);
    }

    brittle_key key(int value)
    {
        return brittle_key(value, faults);
    }

    int new_key() const
    {
        return static_cast<int>(handles.size());
    }

    /// The keys to try: of a task that has finished, of one that waits, and a new one.
    std::vector<int> keys_to_try() const
    {
        return {0, 1, new_key()};
    }

    void expect_as_before()
    {
        faults = {};
        poll(context);
        EXPECT_EQ(frames.alive(), new_key() / 2);
        EXPECT_EQ(map.size(), handles.size());
        for (int i = 0; i != new_key(); ++i) {
            const auto found = map.find(key(i));
            ASSERT_TRUE(found) << i;
            EXPECT_EQ(found->id(), handles[static_cast<std::size_t>(i)].id());
            EXPECT_EQ(found->is_finished(), i % 2 == 0);
        }
        EXPECT_FALSE(map.contains(key(new_key())));
    }

    /// Arms a fault for the first, the second … question until the spawn succeeds. Returns how often it did not.
    template<class Spawn>
    int throw_each_time(fault& armed, int value, Spawn spawn_with)
    {
        for (int count = 1; count != 100; ++count) {
            armed.arm(count);
            try {
                abort_handle handle = spawn_with();
                armed.disarm();
                expect(value, std::move(handle));
                expect_as_before();
                return count - 1;
            } catch (const injected_fault&) {
                expect_as_before();
            }
        }
        ADD_FAILURE() << "it never succeeds";
        return 100;
    }

    /// At the end each task is joined with its key and its value, in spite of all that went wrong.
    void TearDown() override
    {
        map.abort_all();
        poll(context);
        std::set<int> joined;
        while (auto next = map.try_join_next()) {
            const int value = next->key.value();
            EXPECT_TRUE(joined.insert(value).second);
            EXPECT_EQ(cancelled_as(next->result),
                      value % 2 == 0 ? std::nullopt : std::optional(cancel_reason::aborted));
        }
        EXPECT_EQ(joined.size(), handles.size());
        EXPECT_EQ(frames.alive(), 0);
    }

    journal frames;
    key_faults faults;
    asio::io_context context;
    executor_record record;
    map_type map{serial_counting_executor(context, record)};
    std::vector<abort_handle> handles;
};

TEST_F(JoinMapSpawnThrows, NothingChangesWhenHashingDoes)
{
    for (const int value : keys_to_try())
        EXPECT_EQ(throw_each_time(faults.hash, value, [&] { return map.spawn(key(value), work(value)); }), 1);
}

TEST_F(JoinMapSpawnThrows, NothingChangesWhenComparingDoes)
{
    for (const int value : {0, 1})
        EXPECT_GE(throw_each_time(faults.equal, value, [&] { return map.spawn(key(value), work(value)); }), 1);
}

TEST_F(JoinMapSpawnThrows, NothingChangesWhenMovingTheKeyDoes)
{
    for (const int value : keys_to_try()) {
        const bool is_new = value == new_key(); // it is moved into the index, which grows
        const int thrown = throw_each_time(faults.move, value, [&] {
            brittle_key given = key(value);
            return map.spawn(std::move(given), work(value));
        });
        EXPECT_GE(thrown, is_new ? 2 : 1);
    }
}

/// A function that throws when it is moved.
struct brittle_function {
    fault* move;
    std::function<task<int>()> function;

    brittle_function(fault& at_move, std::function<task<int>()> given)
        : move(&at_move)
        , function(std::move(given))
    {
    }

    brittle_function(brittle_function&& other)
        : move(other.move)
        , function(other.function)
    {
        move->ask();
    }

    task<int> operator()() const
    {
        return function();
    }
};

TEST_F(JoinMapSpawnThrows, NothingChangesWhenMovingTheWorkDoes)
{
    fault move;
    for (const int value : keys_to_try()) {
        const int thrown = throw_each_time(move, value, [&] {
            return map.spawn(key(value), brittle_function(move, [this, value] { return work(value); }));
        });
        EXPECT_GE(thrown, 1);
    }
}

TEST_F(JoinMapSpawnThrows, NothingChangesWhenTheExecutorRefuses)
{
    for (const int value : keys_to_try()) {
        record.refuses = true;
        EXPECT_THROW(map.spawn(key(value), work(value)), executor_refused);
        record.refuses = false;
        expect_as_before();
        executor_record other;
        other.refuses = true;
        EXPECT_THROW(map.spawn_on(concurrent_counting_executor(context, other), key(value), work(value)),
                     executor_refused);
        expect_as_before();
        spawn(value);
        expect_as_before();
    }
}

TEST_F(JoinMapSpawnThrows, LookingForAKeyMayThrowAndChangesNothing)
{
    faults.hash.arm(1);
    EXPECT_THROW(map.contains(key(1)), injected_fault);
    faults.equal.arm(1);
    EXPECT_THROW(map.abort(key(1)), injected_fault);
    faults.hash.arm(1);
    EXPECT_THROW(map.find(key(1)), injected_fault);
    expect_as_before();
}

TEST_F(JoinMapSpawnThrows, JoiningNeedsNeitherTheHashNorTheEquality)
{
    for (int i = 0; i < new_key(); i += 2) {
        faults.hash.arm(1);
        faults.equal.arm(1);
        EXPECT_EQ(map.try_join_next()->key.value(), i);
    }
    faults = {};
    for (int i = 0; i < new_key(); i += 2)
        spawn(i);
    poll(context);
}

// -- executors that refuse later ---------------------------------------------------------------------------------

TEST(JoinMapRefusingExecutor, TasksThatCannotGoOnEndAndTheMapStaysUsable)
{
    journal frames;
    asio::io_context context;
    executor_record record;
    record.refuse_at = 2; // the second turn, for what did not fit into the first
    join_map<int, int> map(serial_counting_executor(context, record));
    for (int i = 0; i != 1000; ++i)
        map.spawn(i, [held = tracked(frames)] { return 1; });
    run(context);
    EXPECT_EQ(frames.alive(), 0);
    int ran = 0;
    for (int i = 0; i != 1000; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined);
        ran += joined->result.has_value();
        if (!joined->result.has_value()) {
            EXPECT_EQ(cancelled_as(joined->result), cancel_reason::executor_gone);
        }
    }
    EXPECT_GT(ran, 0);
    EXPECT_LT(ran, 1000);
    map.spawn(1, give(1));
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 1);
}

TEST(JoinMapRefusingExecutor, AnAbortThatItRefusesIsHeardAtTheNextTurn)
{
    asio::io_context context;
    executor_record record;
    join_map<int, int> map(serial_counting_executor(context, record));
    const abort_handle handle = map.spawn(1, wait_forever());
    poll(context);
    record.refuses = true;
    EXPECT_TRUE(handle.abort());
    poll(context);
    record.refuses = false;
    map.spawn(2, give(2));
    poll(context);
    EXPECT_TRUE(handle.is_finished());
    EXPECT_EQ(map.size(), 2u);
}

TEST(JoinMapRefusingExecutor, AJoinThatItRefusesLosesNoResult)
{
    asio::io_context context;
    executor_record record;
    join_map<int, int> map(context);
    const auto handler = [&] {
        return asio::bind_executor(serial_counting_executor(context, record),
                                   [](error_code, auto) { ADD_FAILURE() << "called"; });
    };
    record.refuses = true;
    map.spawn(1, give(1));
    map.async_join_next(handler()); // refused when its task ends
    run(context);
    EXPECT_EQ(map.size(), 1u);
    EXPECT_THROW(map.async_join_next(handler()), executor_refused); // refused at once
    std::optional<int> joined;
    map.async_join_next([&](error_code, auto next) { joined = next->result.value(); });
    run(context);
    EXPECT_EQ(joined, 1);
}

TEST(JoinMapThrowingHandler, ItsExceptionLeavesTheContextAndTheMapUsable)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.spawn(1, give(1));
    map.spawn(2, wait_forever());
    map.async_join_next([](error_code, auto) { throw std::runtime_error("mine"); });
    EXPECT_THROW(context.run(), std::runtime_error);
    EXPECT_EQ(map.size(), 1u);
    std::optional<int> joined;
    map.async_join_next([&](error_code, auto next) { joined = next->key; });
    map.abort_all();
    run(context);
    EXPECT_EQ(joined, 2);
}

// -- executors that drop what they are given --------------------------------------------------------------------

template<class Executor>
class JoinMapDroppingExecutor : public testing::Test {};

struct executor_names {
    template<class Executor>
    static std::string GetName(int)
    {
        return enable_serial_executor<Executor> ? "Serial" : "Concurrent";
    }
};

using executors = testing::Types<serial_counting_executor, concurrent_counting_executor>;
TYPED_TEST_SUITE(JoinMapDroppingExecutor, executors, executor_names);

TYPED_TEST(JoinMapDroppingExecutor, WhatItDropsEndsAndSoDoesWhatComesLater)
{
    journal frames;
    asio::io_context context;
    executor_record record;
    record.drops = true;
    join_map<int, int> map(TypeParam(context, record));
    map.spawn(1, hold(tracked(frames)));
    map.spawn(2, hold(tracked(frames)));
    map.spawn(2, hold(tracked(frames)));
    EXPECT_EQ(frames.begun(), 3);
    EXPECT_EQ(frames.alive(), 0);
    expect_executor_gone(map, 2);
}

TYPED_TEST(JoinMapDroppingExecutor, ADroppedJoinLosesNoResult)
{
    journal handlers;
    asio::io_context context;
    executor_record record;
    join_map<int, int> map(context);
    map.spawn(1, give(1));
    run(context);
    record.drops = true;
    auto never =
        asio::bind_executor(TypeParam(context, record),
                            [held = std::make_shared<tracked>(handlers)](error_code, auto) { FAIL() << "called"; });
    map.async_join_next(never);
    EXPECT_EQ(map.size(), 1u);
    std::optional<int> joined;
    map.async_join_next([&](error_code, auto next) { joined = next->result.value(); });
    run(context);
    EXPECT_EQ(joined, 1);
}

} // namespace
