// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/detail/hash_groups.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace {

using joinery::detail::hash_groups;

/// The table beside what it should hold: the hash and the position of each number.
class checked_groups {
public:
    explicit checked_groups(std::size_t count)
        : groups(count)
    {
    }

    bool is_full() const
    {
        return held.size() == groups.capacity();
    }

    void insert(std::uint32_t hash, std::uint32_t number)
    {
        const std::uint32_t position = groups.insert(hash, number);
        for (const auto& [other, place] : held)
            ASSERT_NE(place.second, position) << number << " took the place of " << other;
        held[number] = {hash, position};
    }

    void erase(std::uint32_t number)
    {
        const auto [hash, position] = held.at(number);
        groups.erase(hash, position);
        held.erase(number);
    }

    std::uint32_t find(std::uint32_t hash, std::uint32_t number) const
    {
        return groups.find(hash, [number](std::uint32_t each) { return each == number; });
    }

    void check() const
    {
        for (const auto& [number, place] : held)
            ASSERT_EQ(find(place.first, number), number);
    }

    hash_groups groups;
    std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> held;
};

constexpr std::uint32_t absent = 0x0fff'ffff;

TEST(HashGroups, WithoutRoomFindNothing)
{
    const hash_groups none;
    EXPECT_EQ(none.capacity(), 0u);
    EXPECT_EQ(none.find(1, [](std::uint32_t) { return true; }), hash_groups::none);
}

TEST(HashGroups, HaveTheRoomThatWasAskedFor)
{
    for (std::size_t count : {1u, 13u, 14u, 15u, 100u, 1000u, 100'000u}) {
        const hash_groups groups(count);
        EXPECT_GE(groups.capacity(), count);
        EXPECT_LE(groups.capacity(), 2 * count + 13);
    }
}

TEST(HashGroups, FindWhatIsThereAndNothingElse)
{
    std::mt19937 random(1);
    checked_groups table(500);
    for (std::uint32_t number = 0; !table.is_full(); ++number)
        table.insert(static_cast<std::uint32_t>(random()), number);
    table.check();
    for (const auto& [number, place] : table.held) {
        EXPECT_EQ(table.find(place.first, absent), hash_groups::none);
        EXPECT_EQ(table.find(place.first ^ 0xfe00'0000, number), hash_groups::none) << "another tag";
    }
}

TEST(HashGroups, AHashThatIsAlwaysTheSameIsSlowButCorrect)
{
    checked_groups table(300);
    for (std::uint32_t number = 0; !table.is_full(); ++number)
        table.insert(0xdead'beef, number);
    table.check();
    EXPECT_EQ(table.find(0xdead'beef, absent), hash_groups::none) << "a search through all groups must end";
    for (std::uint32_t number = 0; number < 300; number += 2)
        table.erase(number);
    table.check();
    EXPECT_EQ(table.find(0xdead'beef, 0), hash_groups::none);
}

TEST(HashGroups, ComeAndGoInAnyOrder)
{
    std::mt19937 random(2);
    checked_groups table(200);
    std::uint32_t next = 0;
    int rebuilt = 0;
    for (int round = 0; round != 20'000; ++round) {
        if (table.held.size() < 150 && (table.held.empty() || random() % 2 == 0)) {
            if (table.is_full()) { // erasures brought that nearer
                ++rebuilt;
                checked_groups fresh(200);
                for (const auto& [number, place] : table.held)
                    fresh.insert(place.first, number);
                table = std::move(fresh);
            }
            table.insert(static_cast<std::uint32_t>(random() % 64 << 25 | random() % 4), next++); // crowded groups
        } else {
            auto victim = table.held.begin();
            std::advance(victim, static_cast<std::ptrdiff_t>(random() % table.held.size()));
            table.erase(victim->first);
        }
        if (round % 100 == 0)
            table.check();
    }
    EXPECT_GT(rebuilt, 0) << "groups that have overflown must not make searches longer for ever";
    table.check();
}

TEST(HashGroups, ASearchStopsAtTheFirstMatch)
{
    hash_groups groups(10);
    groups.insert(7, 1);
    groups.insert(7, 2);
    std::vector<std::uint32_t> seen;
    const auto first = groups.find(7, [&seen](std::uint32_t number) {
        seen.push_back(number);
        return true;
    });
    EXPECT_EQ(seen, std::vector<std::uint32_t>{first});
}

TEST(HashGroups, SwapAndMoveTakeEverythingAlong)
{
    hash_groups groups(10);
    groups.insert(7, 1);
    hash_groups other(std::move(groups));
    EXPECT_EQ(groups.capacity(), 0u);
    EXPECT_EQ(other.find(7, [](std::uint32_t) { return true; }), 1u);
    groups.swap(other);
    EXPECT_EQ(groups.find(7, [](std::uint32_t) { return true; }), 1u);
}

} // namespace
