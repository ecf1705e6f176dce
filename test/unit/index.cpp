// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "allocations.hpp"
#include "loose_node.hpp"

#include <joinery/detail/index.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace joinery;
using detail::task_index;
using test::loose_node;

/// An index, and the tasks in it, which are numbered from one.
template<class K, class Hash = keyed_hash<K>, class KeyEqual = std::equal_to<>>
class index_of {
public:
    explicit index_of(const Hash& hash = Hash(), const KeyEqual& equal = KeyEqual())
        : index(0, hash, equal)
    {
    }

    /// Adds a task, as a spawn does. @throws what hashing, comparing, moving and allocating throws
    loose_node& add(K key)
    {
        const std::uint32_t hash = index.hash(std::as_const(key));
        if (index.find(std::as_const(key), hash))
            throw std::logic_error("the key is there");
        loose_node& task = tasks.emplace_back(tasks.size() + 1);
        try {
            index.insert(task.node, hash, std::move(key));
        } catch (...) {
            tasks.pop_back();
            throw;
        }
        return task;
    }

    /// The number of the task under a key, zero if there is none.
    template<class Q>
    std::uint64_t number(const Q& key) const
    {
        const auto* const found = index.find(key, index.hash(key));
        return found ? found->task()->number() : 0;
    }

    std::deque<loose_node> tasks;
    task_index<K, Hash, KeyEqual> index;
};

// -- looking up --------------------------------------------------------------------------------------------

TEST(TaskIndex, FindsATaskByItsKeyByItselfAndByItsId)
{
    index_of<std::string> map;
    for (int i = 0; i != 1000; ++i)
        map.add(std::to_string(i));
    EXPECT_EQ(map.index.size(), 1000u);
    for (int i = 0; i != 1000; ++i) {
        detail::task_node& task = map.tasks[static_cast<std::size_t>(i)];
        ASSERT_EQ(map.number(std::to_string(i)), task.number());
        const auto* const by_itself = map.index.find(task);
        const auto* const by_id = map.index.find(task.id());
        ASSERT_NE(by_itself, nullptr);
        EXPECT_EQ(by_itself, by_id);
        EXPECT_EQ(by_itself->key(), std::to_string(i));
    }
    EXPECT_EQ(map.number("1000"), 0u);
    EXPECT_EQ(map.number(std::string_view("999")), 1000u);
}

TEST(TaskIndex, FindsNothingThatIsNotThere)
{
    index_of<int> map;
    EXPECT_EQ(map.index.find(task_id()), nullptr);
    map.add(1);
    loose_node stranger(77);
    EXPECT_EQ(map.index.find(stranger.node), nullptr) << "a task that is in no index";
    EXPECT_EQ(map.index.find(stranger.node.id()), nullptr);
    stranger.node.slot_ = map.tasks[0].node.slot_;
    EXPECT_EQ(map.index.find(stranger.node), nullptr) << "another task that had the same slot";
    EXPECT_EQ(map.index.find(stranger.node.id()), nullptr);
    EXPECT_EQ(map.index.find(task_id()), nullptr);
    EXPECT_EQ(map.index.find(2, map.index.hash(2)), nullptr);
    EXPECT_EQ(map.index.size(), 1u);
}

TEST(TaskIndex, GivesTheKeyBackWithTheTask)
{
    index_of<std::unique_ptr<int>, std::hash<std::unique_ptr<int>>> map;
    auto key = std::make_unique<int>(5);
    const int* const address = key.get();
    loose_node& task = map.add(std::move(key));
    const auto given = map.index.extract(task.node);
    EXPECT_EQ(given.get(), address);
    EXPECT_EQ(map.index.size(), 0u);
    EXPECT_EQ(map.index.find(task.node), nullptr) << "it was taken already";
}

TEST(TaskIndex, AReplacedTaskFindsItsSuccessorNeitherByItselfNorById)
{
    index_of<std::string> map;
    loose_node& before = map.add("key");
    loose_node after(99);
    map.index.replace(*map.index.find(before.node), after.node);
    EXPECT_EQ(map.number("key"), 99u);
    EXPECT_EQ(map.index.find(before.node), nullptr);
    EXPECT_EQ(map.index.find(before.node.id()), nullptr);
    EXPECT_NE(map.index.find(after.node.id()), nullptr);
    EXPECT_EQ(map.index.size(), 1u);
    map.index.erase(after.node);
    EXPECT_EQ(map.number("key"), 0u);
}

TEST(TaskIndex, WithoutKeysFindsATaskByItselfAndById)
{
    task_index<void, detail::no_hash, detail::no_equal> index(0, {}, {});
    std::deque<loose_node> tasks;
    for (std::uint64_t number = 1; number <= 100; ++number) {
        loose_node& task = tasks.emplace_back(number);
        index.insert(task.node, 0);
    }
    for (loose_node& task : tasks) {
        ASSERT_NE(index.find(task.node.id()), nullptr);
        EXPECT_EQ(index.find(task.node.id())->task(), &task.node);
        index.erase(task.node);
        EXPECT_EQ(index.find(task.node.id()), nullptr);
    }
    EXPECT_EQ(index.size(), 0u);
}

TEST(TaskIndex, SwapGivesEverythingAway)
{
    index_of<std::string> map;
    loose_node& task = map.add("key");
    decltype(map.index)::table dropped;
    map.index.swap(dropped);
    EXPECT_EQ(dropped.size(), 1u);
    EXPECT_EQ(map.index.size(), 0u);
    EXPECT_EQ(map.index.find(task.node), nullptr);
    map.add("key");
    EXPECT_EQ(map.number("key"), 2u);
}

// -- room --------------------------------------------------------------------------------------------------

TEST(TaskIndex, ReservesAndShrinksButKeepsEveryTask)
{
    index_of<int> map;
    map.index.reserve(10'000);
    const std::size_t reserved = map.index.capacity();
    EXPECT_GE(reserved, 10'000u);
    for (int i = 0; i != 500; ++i)
        map.add(i);
    EXPECT_EQ(map.index.capacity(), reserved);
    map.index.shrink(2000);
    EXPECT_LT(map.index.capacity(), reserved);
    EXPECT_GE(map.index.capacity(), 2000u);
    map.index.shrink(0);
    EXPECT_LT(map.index.capacity(), 2000u);
    EXPECT_GE(map.index.capacity(), 500u);
    for (int i = 0; i != 500; ++i)
        ASSERT_EQ(map.number(i), static_cast<std::uint64_t>(i) + 1);
}

TEST(TaskIndex, AllocatesNothingWithinItsCapacity)
{
    if (!test::allocations_are_ours)
        GTEST_SKIP() << "ThreadSanitizer has its own operator new";
    index_of<int> map;
    map.index.reserve(1000);
    std::deque<loose_node> tasks;
    for (int i = 0; i != 1000; ++i)
        tasks.emplace_back(i);
    const std::size_t before = test::allocation_count();
    for (int i = 0; i != 1000; ++i) {
        loose_node& task = tasks[static_cast<std::size_t>(i)];
        map.index.insert(task.node, map.index.hash(i), int(i));
    }
    for (loose_node& task : tasks)
        map.index.erase(task.node);
    EXPECT_EQ(test::allocation_count(), before);
}

// -- hashing and comparing ---------------------------------------------------------------------------------

struct counts {
    int hashes = 0;
    int comparisons = 0;
};

struct counting_hash {
    counts* count;

    std::size_t operator()(std::uint64_t key) const
    {
        ++count->hashes;
        return static_cast<std::size_t>(key);
    }
};

struct counting_equal {
    counts* count;

    bool operator()(std::uint64_t a, std::uint64_t b) const
    {
        ++count->comparisons;
        return a == b;
    }
};

using counted_index = index_of<std::uint64_t, counting_hash, counting_equal>;

TEST(TaskIndex, HashesAKeyOnceInItsLife)
{
    counts count;
    counted_index map({&count}, {&count});
    for (std::uint64_t key = 0; key != 5000; ++key) // through several growths
        map.add(key);
    EXPECT_EQ(count.hashes, 5000);
    count = {};
    for (loose_node& task : map.tasks) {
        ASSERT_NE(map.index.find(task.node.id()), nullptr);
        map.index.extract(task.node);
    }
    EXPECT_EQ(count.hashes, 0) << "to remove a task needs its stored hash only";
    EXPECT_EQ(count.comparisons, 0) << "and no comparison of keys";
}

TEST(TaskIndex, AHashThatDoesNotAvalancheIsSpread)
{
    // Keys that differ in their middle bits only. The table looks at the lowest bits of a hash, and at its highest.
    counts count;
    counted_index map({&count}, {&count});
    std::set<std::size_t> low;
    std::set<std::size_t> high;
    constexpr std::uint64_t keys = 16'384;
    for (std::uint64_t i = 0; i != keys; ++i) {
        const std::uint32_t hash = map.index.hash(i << 20);
        low.insert(hash & 0xff);
        high.insert(hash >> 18);
        map.add(i << 20);
    }
    EXPECT_EQ(low.size(), 256u);
    EXPECT_GT(high.size(), keys / 2) << "of " << keys << " values; about 10,357 are expected of a random function";
    EXPECT_LT(count.comparisons, 10) << "keys whose hashes differ need no comparison";
    count = {};
    for (std::uint64_t i = 0; i != keys; ++i)
        ASSERT_EQ(map.number(i << 20), i + 1);
    EXPECT_EQ(count.comparisons, static_cast<int>(keys));
}

struct avalanching_hash {
    using is_avalanching = void;

    std::size_t operator()(int key) const noexcept
    {
        return static_cast<std::size_t>(key);
    }
};

TEST(TaskIndex, AnAvalanchingHashIsUsedAsItIs)
{
    const index_of<int, avalanching_hash> map;
    EXPECT_EQ(map.index.hash(5), 5u);
}

// -- what throws -------------------------------------------------------------------------------------------

/// Counts down to a throw, everywhere in a key's life.
struct fuse {
    inline static int left = -1;

    static void burn()
    {
        if (left >= 0 && left-- == 0)
            throw std::runtime_error("burnt");
    }
};

struct burning_key {
    explicit burning_key(int given)
        : number(given)
    {
    }

    burning_key(burning_key&& other)
        : number(other.number)
    {
        fuse::burn();
    }

    int number;
};

struct burning_hash {
    std::size_t operator()(const burning_key& key) const
    {
        fuse::burn();
        return static_cast<std::size_t>(key.number % 64); // so that keys are compared, too
    }
};

struct burning_equal {
    bool operator()(const burning_key& a, const burning_key& b) const
    {
        fuse::burn();
        return a.number == b.number;
    }
};

TEST(TaskIndex, KeepsEverythingWhenHashingComparingOrMovingThrows)
{
    static_assert(!std::is_nothrow_move_constructible_v<burning_key>);
    index_of<burning_key, burning_hash, burning_equal> map;
    int thrown = 0;
    for (int next = 0; next != 300; ++next) { // through several growths
        for (int countdown = 0;; ++countdown) {
            fuse::left = countdown;
            try {
                map.add(burning_key(next));
                break;
            } catch (const std::runtime_error&) {
                ++thrown;
            }
            fuse::left = -1;
            ASSERT_EQ(map.index.size(), static_cast<std::size_t>(next));
            ASSERT_EQ(map.number(burning_key(next)), 0u);
        }
        fuse::left = -1;
        ASSERT_EQ(map.index.size(), static_cast<std::size_t>(next) + 1);
    }
    EXPECT_GT(thrown, 300 * 2);
    for (int i = 0; i != 300; ++i)
        ASSERT_EQ(map.number(burning_key(i)), static_cast<std::uint64_t>(i) + 1);
}

TEST(TaskIndex, KeepsEverythingWhenAllocatingThrows)
{
    if (!test::allocations_are_ours)
        GTEST_SKIP() << "ThreadSanitizer has its own operator new";
    index_of<std::string> map;
    int thrown = 0;
    for (int next = 0; next != 300; ++next) {
        const std::string name = "a name too long to be stored in the string itself: " + std::to_string(next);
        loose_node& task = map.tasks.emplace_back(static_cast<std::uint64_t>(next) + 1);
        for (std::size_t successes = 0;; ++successes) {
            std::string key = name;
            try {
                const test::failing_allocations failing(successes);
                map.index.insert(task.node, map.index.hash(name), std::move(key));
                break;
            } catch (const std::bad_alloc&) {
                ++thrown;
            }
            ASSERT_EQ(map.index.size(), static_cast<std::size_t>(next));
            ASSERT_EQ(map.index.find(task.node), nullptr);
        }
    }
    EXPECT_GT(thrown, 3) << "the table must have grown";
    for (loose_node& task : map.tasks)
        map.index.erase(task.node);
    EXPECT_EQ(map.index.size(), 0u);
}

} // namespace
