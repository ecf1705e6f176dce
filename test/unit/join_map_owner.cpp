// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using error_code = boost::system::error_code;

template<class Map>
std::set<int> join_all_keys(Map& map)
{
    std::set<int> keys;
    while (const auto joined = map.try_join_next())
        keys.insert(joined->key);
    return keys;
}

// -- aborting some -----------------------------------------------------------------------------------------

TEST(JoinMapAbortSome, ByKeyTellsOnlyATaskThatIsThereAndHasNotFinished)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.spawn(1, give(1));
    run(context);
    const abort_handle waiting = map.spawn(2, wait_forever());
    const abort_handle other = map.spawn(3, wait_forever());
    EXPECT_FALSE(map.abort(1));
    EXPECT_TRUE(map.abort(2));
    EXPECT_TRUE(map.abort(2));
    EXPECT_FALSE(map.abort(4));
    run(context);
    EXPECT_TRUE(waiting.is_finished());
    EXPECT_FALSE(other.is_finished());
    EXPECT_FALSE(map.abort(2));
    EXPECT_EQ(join_all_keys(map), (std::set{1, 2}));
    EXPECT_FALSE(map.abort(2));
}

TEST(JoinMapAbortSome, AllTellsThoseThatHaveNotFinished)
{
    asio::io_context context;
    join_map<int, int> map(context);
    EXPECT_EQ(map.abort_all(), 0u);
    map.spawn(1, give(1));
    run(context);
    map.spawn(2, wait_forever());
    poll(context);
    map.spawn(3, give(3));
    EXPECT_EQ(map.abort_all(), 2u);
    EXPECT_EQ(map.size(), 3u);
    run(context);
    for (int i = 0; i != 3; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_EQ(cancelled_as(joined->result),
                  joined->key == 1 ? std::nullopt : std::optional(cancel_reason::aborted));
    }
}

TEST(JoinMapAbortSome, MatchingTellsThoseWhoseKeyMatchesAndThatHaveNotFinished)
{
    asio::io_context context;
    join_map<int, int> map(context);
    for (int i = 0; i != 10; ++i)
        map.spawn(i, give(i));
    run(context);
    for (int i = 10; i != 20; ++i)
        map.spawn(i, wait_forever());
    std::set<int> seen;
    const auto even = [&](const int& key) {
        EXPECT_TRUE(seen.insert(key).second);
        return key % 2 == 0;
    };
    EXPECT_EQ(map.abort_matching(even), 5u);
    EXPECT_EQ(seen.size(), 20u);
    EXPECT_EQ(map.size(), 20u);
    run(context);
    for (int i = 0; i != 15; ++i) {
        const auto joined = map.try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_EQ(joined->result.has_value(), joined->key < 10);
        EXPECT_TRUE(joined->key < 10 || joined->key % 2 == 0);
    }
    EXPECT_EQ(map.size(), 5u);
    EXPECT_FALSE(map.try_join_next());
}

TEST(JoinMapAbortSome, AThrowingPredicateLeavesTheMapUsable)
{
    asio::io_context context;
    join_map<int, int> map(context);
    for (int i = 0; i != 4; ++i)
        map.spawn(i, wait_forever());
    int asked = 0;
    const auto throws = [&](int) -> bool { return ++asked == 3 ? throw std::runtime_error("predicate") : true; };
    EXPECT_THROW(map.abort_matching(throws), std::runtime_error);
    run(context);
    EXPECT_EQ(map.size(), 4u);
    EXPECT_EQ(join_all_keys(map).size(), 2u);
    EXPECT_EQ(map.abort_all(), 2u);
}

// -- predicates that use the map -----------------------------------------------------------------------------

TEST(JoinMapReentrancy, APredicateMaySpawnAbortAndJoin)
{
    asio::io_context context;
    join_map<int, int> map(context);
    for (int i = 0; i != 5; ++i)
        map.spawn(i, give(i));
    run(context);
    for (int i = 5; i != 10; ++i)
        map.spawn(i, wait_forever());
    poll(context);
    std::set<int> seen;
    std::set<int> joined;
    int next = 100;
    const auto busy = [&](const int& reference) {
        const int key = reference;
        seen.insert(key);
        EXPECT_LT(key, 100); // what the predicate spawns it does not see
        for (int i = 0; i != 50; ++i)
            map.spawn(next++, wait_forever());
        map.abort(key);
        if (const auto ready = map.try_join_next())
            joined.insert(ready->key);
        EXPECT_EQ(map.size(), 10 + static_cast<std::size_t>(next - 100) - joined.size());
        return true;
    };
    map.abort_matching(busy);
    EXPECT_EQ(joined.size(), 5u);
    for (int i = 5; i != 10; ++i)
        EXPECT_TRUE(seen.contains(i));
    run(context);
    EXPECT_EQ(join_all_keys(map), (std::set{5, 6, 7, 8, 9}));
}

TEST(JoinMapReentrancy, APredicateMayReplaceTheTaskThatItSees)
{
    asio::io_context context;
    join_map<int, int> map(context);
    for (int i = 0; i != 5; ++i)
        map.spawn(i, wait_forever());
    const auto replace = [&](const int& key) {
        map.spawn(int(key), give(100));
        return true;
    };
    EXPECT_EQ(map.abort_matching(replace), 0u); // the ones that it saw are not there any more
    run(context);
    EXPECT_EQ(map.size(), 5u);
    while (const auto joined = map.try_join_next())
        EXPECT_EQ(joined->result.value(), 100);
}

TEST(JoinMapReentrancy, APredicateMayEmptyTheMap)
{
    for (const bool detach : {false, true}) {
        asio::io_context context;
        join_map<std::string, int> map(context);
        for (int i = 0; i != 20; ++i)
            map.spawn("a key that is too long to be stored in place " + std::to_string(i), wait_forever());
        bool shut_down = false;
        int asked = 0;
        map.abort_matching([&](const std::string&) {
            ++asked;
            if (detach)
                map.detach_all();
            else
                map.async_shutdown([&](error_code) { shut_down = true; });
            return true;
        });
        EXPECT_EQ(asked, 1);
        EXPECT_TRUE(map.empty());
        run(context);
        EXPECT_EQ(shut_down, !detach);
    }
}

TEST(JoinMapReentrancy, APredicateMayStartAJoin)
{
    asio::io_context context;
    join_map<int, int> map(context);
    map.spawn(1, wait_forever());
    std::optional<int> joined;
    const auto start = [&](int) {
        map.async_join_next([&](error_code, auto next) { joined = next->key; });
        EXPECT_FALSE(joined);
        return true;
    };
    EXPECT_EQ(map.abort_matching(start), 1u);
    run(context);
    EXPECT_EQ(joined, 1);
}

TEST(JoinMapReentrancy, ADestructorOfAValueMayUseTheMap)
{
    journal values;
    asio::io_context context;
    join_map<int, tracked> map(context);
    int next = 100;
    const auto busy = [&] {
        const std::size_t before = map.size();
        map.spawn(next++, [&] { return tracked(values); });
        EXPECT_EQ(map.size(), before + 1);
        map.abort_matching([](int) { return false; });
        map.try_join_next();
    };
    const auto spawn = [&](int key) { map.spawn(key, [&] { return tracked(values, "busy", busy); }); };
    spawn(1);
    run(context);
    map.spawn(1, [&] { return tracked(values); }); // replaced
    run(context);
    spawn(2);
    run(context);
    { // joined
        const auto first = map.try_join_next();
        const auto second = map.try_join_next();
    }
    spawn(3);
    run(context);
    map.detach_all(); // dropped
    run(context);
    spawn(4);
    run(context);
    map.async_shutdown([](error_code) {});
    run(context);
    const std::vector<std::string> ended = values.ended();
    EXPECT_EQ(std::ranges::count(ended, "busy"), 4);
}

struct busy_key {
    int value;
    std::function<void()> at_end;

    busy_key(int given, std::function<void()> does)
        : value(given)
        , at_end(std::move(does))
    {
    }

    busy_key(busy_key&& other) noexcept
        : value(other.value)
        , at_end(std::exchange(other.at_end, nullptr))
    {
    }

    ~busy_key()
    {
        if (at_end)
            at_end();
    }
};

struct busy_key_hash {
    std::size_t operator()(const busy_key& key) const
    {
        return static_cast<std::size_t>(key.value);
    }
};

struct busy_key_equal {
    bool operator()(const busy_key& a, const busy_key& b) const
    {
        return a.value == b.value;
    }
};

TEST(JoinMapReentrancy, ADestructorOfAKeyMayUseTheMap)
{
    asio::io_context context;
    using map_type = join_map<busy_key, int, busy_key_hash, busy_key_equal>;
    std::optional<map_type> map(context);
    int ended = 0;
    int next = 100;
    const auto busy = [&] {
        ++ended;
        map->spawn(busy_key(next++, nullptr), wait_forever());
        EXPECT_TRUE(map->contains(busy_key(next - 1, nullptr)));
        map->abort_matching([](const busy_key&) { return true; });
        map->try_join_next();
    };
    map->spawn(busy_key(1, busy), wait_forever());
    map->spawn(busy_key(1, busy), wait_forever()); // one of two equal keys ends
    EXPECT_EQ(ended, 1);
    map->detach_all();
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(map->size(), 1u);
    map->spawn(busy_key(2, busy), give(2));
    run(context);
    while (map->try_join_next()) {
    }
    EXPECT_EQ(ended, 3);
    map->spawn(busy_key(3, busy), give(3));
    map->async_shutdown([](error_code) {});
    EXPECT_EQ(ended, 4);
    run(context);
}

TEST(JoinMapReentrancy, AHandlerMayUseTheMap)
{
    asio::io_context context;
    join_map<int, int> map(context);
    std::vector<int> keys;
    std::function<void(error_code, std::optional<join_map<int, int>::joined>)> again =
        [&](error_code, std::optional<join_map<int, int>::joined> next) {
            if (!next)
                return;
            keys.push_back(next->key);
            EXPECT_FALSE(map.contains(next->key));
            if (next->key < 10) {
                map.spawn(next->key + 10, wait_forever());
                map.abort(next->key + 10);
                map.spawn(next->key + 20, give(0));
            }
            map.async_join_next(again);
        };
    for (int i = 0; i != 3; ++i)
        map.spawn(i, give(i));
    map.async_join_next(again);
    run(context);
    EXPECT_TRUE(map.empty());
    std::ranges::sort(keys);
    EXPECT_EQ(keys, (std::vector{0, 1, 2, 10, 11, 12, 20, 21, 22}));
}

} // namespace
