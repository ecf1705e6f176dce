// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

// -- replacing -------------------------------------------------------------------------------------------

TEST(JoinMapReplace, TheOldTaskIsAbortedAndNeverJoined)
{
    journal frames;
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle old = map.spawn(1, hold(tracked(frames)));
    poll(context);
    const abort_handle fresh = map.spawn(1, give(2));
    EXPECT_EQ(map.size(), 1u);
    EXPECT_FALSE(map.contains_task(old.id()));
    EXPECT_TRUE(map.contains_task(fresh.id()));
    run(context);
    EXPECT_TRUE(old.is_finished());
    EXPECT_EQ(frames.alive(), 0);
    const auto joined = map.try_join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->id, fresh.id());
    EXPECT_EQ(joined->result.value(), 2);
    EXPECT_FALSE(map.try_join_next());
    EXPECT_TRUE(map.empty());
}

TEST(JoinMapReplace, ATaskThatHadFinishedIsNeverJoinedEither)
{
    journal values;
    asio::io_context context;
    join_map<int, tracked> map(context);
    map.spawn(1, [&] { return tracked(values, "old"); });
    run(context);
    EXPECT_EQ(values.alive(), 1);
    const abort_handle fresh = map.spawn(1, [&] { return tracked(values, "new"); });
    EXPECT_EQ(map.size(), 1u);
    EXPECT_FALSE(map.try_join_next());
    run(context);
    const auto joined = map.try_join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->result->name(), "new");
    EXPECT_EQ(joined->id, fresh.id());
    EXPECT_FALSE(map.try_join_next());
}

TEST(JoinMapReplace, ATaskThatHadNotStartedIsNeverEntered)
{
    asio::io_context context;
    join_map<int, int> map(context);
    bool entered = false;
    map.spawn(1, [&] {
        entered = true;
        return 1;
    });
    map.spawn(1, give(2));
    run(context);
    EXPECT_FALSE(entered);
    EXPECT_EQ(map.try_join_next()->result.value(), 2);
}

TEST(JoinMapReplace, TheLateEndOfTheOldTaskTouchesNeitherTheNewOneNorTheSize)
{
    asio::io_context context;
    join_map<int, int> map(context);
    manual_event late(context.get_executor(), when_cancelled::goes_on);
    const abort_handle old = map.spawn(1, wait(late));
    poll(context);
    const abort_handle fresh = map.spawn(1, wait_forever());
    map.spawn(2, wait_forever());
    poll(context);
    EXPECT_FALSE(old.is_finished());
    EXPECT_EQ(map.size(), 2u);
    late.complete();
    poll(context);
    EXPECT_TRUE(old.is_finished());
    EXPECT_EQ(map.size(), 2u);
    EXPECT_TRUE(map.contains_task(fresh.id()));
    EXPECT_FALSE(fresh.is_finished());
    EXPECT_FALSE(map.try_join_next());
    EXPECT_EQ(map.find(1)->id(), fresh.id());
}

TEST(JoinMapReplace, AWaitingJoinHearsNothingOfTheOldTask)
{
    asio::io_context context;
    join_map<int, int> map(context);
    std::optional<int> joined;
    map.async_join_next([&](boost::system::error_code, auto next) { joined = next ? next->result.value() : -1; });
    run(context); // the map is empty
    EXPECT_EQ(joined, -1);
    joined.reset();
    manual_event event(context.get_executor());
    map.spawn(1, wait_forever());
    map.async_join_next([&](boost::system::error_code, auto next) { joined = next ? next->result.value() : -1; });
    poll(context);
    map.spawn(1, wait(event, 2));
    poll(context);
    EXPECT_FALSE(joined);
    event.complete();
    poll(context);
    EXPECT_EQ(joined, 2);
}

TEST(JoinMapReplace, TheHandleOfTheOldTaskDoesNotReachTheNewOne)
{
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle old = map.spawn(1, give(1));
    const abort_handle fresh = map.spawn(1, give(2));
    old.abort();
    run(context);
    EXPECT_EQ(map.try_join_next()->result.value(), 2);
}

TEST(JoinMapReplace, TheNewTaskMayHaveTheNameThatTheOldOneKeptInItsKey)
{
    // The key of the entry is the one that it was first spawned with; what looks it up stays equal to it.
    struct loose_hash {
        std::size_t operator()(const std::string& text) const
        {
            return text.size();
        }
    };
    struct loose_equal {
        bool operator()(const std::string& a, const std::string& b) const
        {
            return std::ranges::equal(a, b, {}, ::tolower, ::tolower);
        }
    };
    asio::io_context context;
    join_map<std::string, int, loose_hash, loose_equal> map(context);
    map.spawn("one", wait_forever());
    map.spawn("ONE", give(2));
    EXPECT_EQ(map.size(), 1u);
    run(context);
    const auto joined = map.try_join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->result.value(), 2);
    EXPECT_TRUE(loose_equal()(joined->key, "one"));
}

TEST(JoinMapReplace, AHundredThousandTasksOnOneKeyKeepMemoryFlat)
{
    journal values;
    journal frames;
    constexpr int many = 100'000;
    constexpr int few = 300;
    asio::io_context context;
    {
        join_map<int, tracked> map(context);
        for (int i = 0; i != many; ++i) { // finished when they are replaced
            map.spawn(1, [&] { return tracked(values); });
            poll(context);
        }
        EXPECT_LE(values.most_alive(), few);
        for (int i = 0; i != many / 10; ++i) { // waiting when they are replaced
            map.spawn(1, [&, held = tracked(frames)]() -> task<tracked> {
                co_await this_task::sleep_forever();
                co_return tracked(values);
            });
            poll(context);
        }
        EXPECT_LE(frames.most_alive(), few);
        EXPECT_EQ(map.size(), 1u);
        EXPECT_LE(map.capacity(), 100u);
    }
    poll(context);
    EXPECT_EQ(values.alive(), 0);
    EXPECT_EQ(frames.alive(), 0);
}

// -- looking ---------------------------------------------------------------------------------------------

TEST(JoinMapLookup, FindsEveryTaskThatIsNotJoinedYetFinishedOrNot)
{
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle finished = map.spawn(1, give(1));
    const abort_handle waiting = map.spawn(2, wait_forever());
    run(context);
    const abort_handle queued = map.spawn(3, give(3));
    EXPECT_EQ(map.size(), 3u);
    EXPECT_FALSE(map.empty());
    int key = 0;
    for (const abort_handle& handle : {finished, waiting, queued}) {
        ++key;
        EXPECT_TRUE(map.contains(key));
        EXPECT_TRUE(map.contains_task(handle.id()));
        ASSERT_TRUE(map.find(key));
        EXPECT_EQ(map.find(key)->id(), handle.id());
        EXPECT_EQ(map.find(key)->is_finished(), key == 1);
    }
    std::vector<int> keys = map.keys();
    std::ranges::sort(keys);
    EXPECT_EQ(keys, (std::vector{1, 2, 3}));
    EXPECT_FALSE(map.contains(4));
    EXPECT_FALSE(map.find(4));
    EXPECT_FALSE(map.contains_task(task_id()));

    map.try_join_next();
    EXPECT_EQ(map.size(), 2u);
    EXPECT_FALSE(map.contains(1));
    EXPECT_FALSE(map.find(1));
    EXPECT_FALSE(map.contains_task(finished.id()));
}

TEST(JoinMapLookup, AnAbortedTaskStaysUntilItIsJoined)
{
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle handle = map.spawn(1, wait_forever());
    map.abort(1);
    EXPECT_TRUE(map.contains(1));
    run(context);
    EXPECT_TRUE(map.contains(1));
    EXPECT_TRUE(map.contains_task(handle.id()));
    EXPECT_EQ(map.size(), 1u);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
    EXPECT_FALSE(map.contains(1));
    EXPECT_TRUE(map.empty());
}

TEST(JoinMapLookup, TakesWhatTheKeyIsLikeWithoutMakingAKey)
{
    asio::io_context context;
    join_map<std::string, int> map(context);
    map.spawn("one", wait_forever());
    const std::string_view key = "one";
    static_assert(!std::is_convertible_v<std::string_view, std::string>);
    EXPECT_TRUE(map.contains(key));
    EXPECT_TRUE(map.find(key));
    EXPECT_TRUE(map.contains("one"));
    EXPECT_FALSE(map.contains(std::string_view("on")));
    EXPECT_TRUE(map.abort(key));
    run(context);
    EXPECT_EQ(map.try_join_next()->key, "one");
}

struct string_or_number_hash {
    using is_transparent = void;

    std::size_t operator()(const std::string& text) const
    {
        return static_cast<std::size_t>(std::stoi(text));
    }

    std::size_t operator()(int number) const
    {
        return static_cast<std::size_t>(number);
    }
};

struct string_or_number_equal {
    using is_transparent = void;

    bool operator()(const std::string& a, const std::string& b) const
    {
        return a == b;
    }

    bool operator()(const std::string& a, int b) const
    {
        return a == std::to_string(b);
    }
};

TEST(JoinMapLookup, UsesTheHashAndTheEqualityOfTheUser)
{
    asio::io_context context;
    join_map<std::string, int, string_or_number_hash, string_or_number_equal> map(context);
    for (int i = 0; i != 100; ++i)
        map.spawn(std::to_string(i), give(i));
    for (int i = 0; i != 100; ++i)
        EXPECT_TRUE(map.contains(i) && map.contains(std::to_string(i)));
    EXPECT_FALSE(map.contains(100));
    EXPECT_EQ(map.hash_function()(7), 7u);
    EXPECT_TRUE(map.key_eq()("7", 7));
}

// A hash and an equality that cannot be made out of nothing.
struct modular {
    explicit modular(int of)
        : modulus(of)
    {
    }

    std::size_t operator()(int key) const
    {
        return static_cast<std::size_t>(key % modulus);
    }

    bool operator()(int a, int b) const
    {
        return a % modulus == b % modulus;
    }

    int modulus;
};

TEST(JoinMapLookup, IsConstructedWithCapacityHashAndEquality)
{
    asio::io_context context;
    join_map<int, int, modular, modular> map(context, 1000, modular(10), modular(10));
    const std::size_t room = map.capacity();
    EXPECT_GE(room, 1000u);
    for (int i = 0; i != 25; ++i)
        map.spawn(i, wait_forever());
    EXPECT_EQ(map.size(), 10u);
    EXPECT_EQ(map.capacity(), room);
    EXPECT_EQ(map.hash_function().modulus, 10);
    EXPECT_EQ(map.key_eq().modulus, 10);
}

// -- room ------------------------------------------------------------------------------------------------

TEST(JoinMapCapacity, GrowsWithReserveAndShrinksNoFurtherThanWhatIsThere)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.reserve(1000);
    const std::size_t large = map.capacity();
    EXPECT_GE(large, 1000u);
    for (int i = 0; i != 100; ++i)
        map.spawn(i, give(i));
    EXPECT_EQ(map.capacity(), large);
    map.reserve(10);
    EXPECT_EQ(map.capacity(), large);

    map.shrink_to(500);
    EXPECT_LT(map.capacity(), large);
    EXPECT_GE(map.capacity(), 500u);
    map.shrink_to_fit();
    EXPECT_LT(map.capacity(), 500u);
    EXPECT_GE(map.capacity(), 100u);
    for (int i = 0; i != 100; ++i)
        EXPECT_TRUE(map.contains(i));
    run(context);
    for (int i = 0; i != 100; ++i)
        EXPECT_EQ(map.try_join_next()->key, i);
    map.shrink_to_fit();
    EXPECT_LT(map.capacity(), 100u);
}

} // namespace
