// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace joinery::detail {

/// Finds numbers by their hashes, and erases them by where they stand.
/**
 * A number that was inserted stays where it is, so that who remembers its position erases it without a search. To grow is
 * to insert all into another table; who owns the numbers has their hashes, too.
 *
 * Twelve buckets make a group, which fills a cache line: their numbers, and a tag for each, seven bits of the hash. A
 * search compares the tags of a group at once. A group that was full when another number came remembers that (`overflow`),
 * and only then does a search go on to the next. That is forgotten only when the table is rebuilt; so each erasure
 * from such a group brings the rebuilding nearer. But for the size of a group, and that positions can be told, this is the
 * design of Boost's `unordered_flat_map`.
 *
 * Rejected: linear probing over {hash, number}. It needs no groups and fewer instructions, but ends its searches where a
 * processor cannot foresee it, and was slower by a quarter.
 */
class hash_groups {
public:
    static constexpr std::uint32_t none = 0xffff'ffff;

    hash_groups() noexcept = default;

    /// With room for `count` numbers. @throws std::bad_alloc
    explicit hash_groups(std::size_t count)
    {
        if (count == 0)
            return;
        std::size_t groups = 1;
        while (most_in(groups) < count)
            groups *= 2;
        groups_ = std::make_unique<group[]>(groups);
        mask_ = groups - 1;
        capacity_ = most_in(groups);
    }

    hash_groups(hash_groups&& other) noexcept
    {
        swap(other);
    }

    hash_groups& operator=(hash_groups&& other) noexcept
    {
        hash_groups(std::move(other)).swap(*this);
        return *this;
    }

    void swap(hash_groups& other) noexcept
    {
        groups_.swap(other.groups_);
        std::swap(mask_, other.mask_);
        std::swap(capacity_, other.capacity_);
    }

    /// How many numbers there may be at once. It becomes less with erasures, see above.
    std::size_t capacity() const noexcept
    {
        return capacity_;
    }

    /// The number with this hash that satisfies a predicate, or `none`. @throws what the predicate throws
    template<class IsWanted>
    std::uint32_t find(std::uint32_t hash, IsWanted is_wanted) const
    {
        if (!groups_)
            return none;
        std::size_t at = hash & mask_;
        for (std::size_t step = 1;; at = (at + step++) & mask_) {
            const group& here = groups_[at];
            for (unsigned found = here.matching(tag_of(hash)); found != 0; found &= found - 1) {
                const std::uint32_t number = here.numbers[static_cast<unsigned>(std::countr_zero(found))];
                if (is_wanted(number))
                    return number;
            }
            if (!here.has_overflown(hash) || step > mask_ + 1)
                return none;
        }
    }

    /// Adds a number, and returns its position. @pre there are fewer than `capacity()`
    std::uint32_t insert(std::uint32_t hash, std::uint32_t number) noexcept
    {
        std::size_t at = hash & mask_;
        for (std::size_t step = 1;; at = (at + step++) & mask_) {
            group& here = groups_[at];
            if (const unsigned free = here.matching(0)) {
                const auto place = static_cast<unsigned>(std::countr_zero(free));
                here.tags[place] = tag_of(hash);
                here.numbers[place] = number;
                return static_cast<std::uint32_t>(at * width + place);
            }
            here.note_overflow(hash);
        }
    }

    /// Removes the number, of this hash, at a position.
    void erase(std::uint32_t hash, std::uint32_t position) noexcept
    {
        group& here = groups_[position / width];
        here.tags[position % width] = 0;
        capacity_ -= here.has_overflown(hash);
    }

    /// Puts a number in the place of another with the same hash.
    void renumber(std::uint32_t position, std::uint32_t number) noexcept
    {
        groups_[position / width].numbers[position % width] = number;
    }

    /// Brings in what `erase` will look at.
    void prefetch(std::uint32_t position) const noexcept
    {
#if defined(__GNUC__)
        __builtin_prefetch(&groups_[position / width], 1);
#endif
    }

    /// Brings in what `insert` will look at.
    void prefetch_for(std::uint32_t hash) const noexcept
    {
#if defined(__GNUC__)
        __builtin_prefetch(&groups_[hash & mask_], 1);
#endif
    }

private:
    static constexpr std::size_t width = 16; // of a group's tags, as they are compared; a power of two
    static constexpr std::size_t buckets = 12;
    static constexpr std::size_t overflow = 12;

    struct alignas(64) group {
        std::uint8_t tags[width] = {}; // zero where the bucket is free; of those without a bucket, one is the overflow
        std::uint32_t numbers[buckets];

        /// The buckets with a tag, one bit for each.
        unsigned matching(std::uint8_t tag) const noexcept
        {
#if defined(__SSE2__)
            const __m128i all = _mm_load_si128(reinterpret_cast<const __m128i*>(tags));
            const __m128i same = _mm_cmpeq_epi8(all, _mm_set1_epi8(static_cast<char>(tag)));
            const auto found = static_cast<unsigned>(_mm_movemask_epi8(same));
#else
            unsigned found = 0;
            for (std::size_t i = 0; i != buckets; ++i)
                found |= static_cast<unsigned>(tags[i] == tag) << i;
#endif
            return found & ((1u << buckets) - 1);
        }

        bool has_overflown(std::uint32_t hash) const noexcept
        {
            return (tags[overflow] & overflow_bit(hash)) != 0;
        }

        void note_overflow(std::uint32_t hash) noexcept
        {
            tags[overflow] |= overflow_bit(hash);
        }

        // One for each eighth of the hashes, so that few searches go on in vain.
        static std::uint8_t overflow_bit(std::uint32_t hash) noexcept
        {
            return static_cast<std::uint8_t>(1u << (hash >> 22 & 7));
        }
    };

    static constexpr std::size_t most_in(std::size_t groups) noexcept
    {
        return groups * buckets * 7 / 8;
    }

    static std::uint8_t tag_of(std::uint32_t hash) noexcept
    {
        return static_cast<std::uint8_t>(hash >> 25 | 0x80);
    }

    std::unique_ptr<group[]> groups_;
    std::size_t mask_ = 0;
    std::size_t capacity_ = 0;
};

} // namespace joinery::detail
