// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_node.hpp>

#include <boost/config.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// What a slot has beside the task.
template<class K>
struct key_room {
    std::uint32_t hash;     // of the key
    std::uint32_t position; // of the slot's number among the hashes
    alignas(K) std::byte key[sizeof(K)];
};

template<>
struct key_room<void> {};

/// A task and its key, or a place that is free. `K` is `void` where there are no keys.
template<class K>
class task_slot : public key_room<K> {
public:
    /// The task; null in a free slot.
    task_node* task() const noexcept
    {
        return is_free() ? nullptr : reinterpret_cast<task_node*>(word_);
    }

    /// @pre there is a task
    auto& key() noexcept
    {
        return *std::launder(reinterpret_cast<K*>(key_room<K>::key));
    }

    const auto& key() const noexcept
    {
        return *std::launder(reinterpret_cast<const K*>(key_room<K>::key));
    }

    void set_task(task_node& task) noexcept
    {
        word_ = reinterpret_cast<std::uintptr_t>(&task);
    }

    /// Brings in the task, while there is something else to do.
    void prefetch_task() const noexcept
    {
#if defined(__GNUC__)
        __builtin_prefetch(task(), 1);
#endif
    }

private:
    template<class>
    friend class slot_table;

    bool is_free() const noexcept
    {
        return (word_ & 1) != 0;
    }

    void set_free(std::uint32_t next) noexcept
    {
        word_ = std::uintptr_t(next) << 1 | 1;
    }

    /// Whether it is used no more, but its key is still being destroyed. Then it counts as free, and is not given away.
    bool is_leaving() const noexcept
    {
        return word_ == leaving;
    }

    void set_leaving() noexcept
    {
        word_ = leaving;
    }

    static constexpr std::uintptr_t leaving =
        std::uintptr_t(task_node::no_slot - 1) << 1 | 1; // no slot has that number

    std::uint32_t next_free() const noexcept
    {
        return static_cast<std::uint32_t>(word_ >> 1);
    }

    std::uintptr_t word_; // the address of the task, or the number of the next free slot and a bit that no address has
};

/// Slots for tasks and their keys, by number. A slot stays where it is from the task's coming to its leaving.
/**
 * The slots stand in blocks, each twice as large as the one before, so that to grow moves none; and a slot that was freed
 * last is used next. So tasks that are spawned and joined one after the other find their slots in the cache, and a key is
 * moved into its slot, and out of it, and never in between.
 */
template<class K>
class slot_table {
public:
    using slot = task_slot<K>;

    static constexpr std::uint32_t none = task_node::no_slot;

    slot_table() noexcept = default;

    slot_table(slot_table&& other) noexcept
        : blocks_(std::move(other.blocks_))
        , block_count_(std::exchange(other.block_count_, 0))
        , room_(std::exchange(other.room_, 0))
        , used_(std::exchange(other.used_, 0))
        , size_(std::exchange(other.size_, 0))
        , first_free_(std::exchange(other.first_free_, none))
    {
    }

    slot_table& operator=(slot_table&&) = delete;

    ~slot_table()
    {
        if constexpr (!std::is_void_v<K>) {
            if constexpr (!std::is_trivially_destructible_v<K>)
                for_each([](slot& each) { std::destroy_at(&each.key()); });
        }
    }

    void swap(slot_table& other) noexcept
    {
        blocks_.swap(other.blocks_);
        std::swap(block_count_, other.block_count_);
        std::swap(room_, other.room_);
        std::swap(used_, other.used_);
        std::swap(size_, other.size_);
        std::swap(first_free_, other.first_free_);
    }

    std::size_t size() const noexcept
    {
        return size_;
    }

    std::size_t capacity() const noexcept
    {
        return room_;
    }

    /// @pre `number` has been returned by `add`
    slot& operator[](std::uint32_t number) const noexcept
    {
        const auto block = static_cast<std::size_t>(std::bit_width((number >> first_bits) + 1) - 1);
        return blocks_[block][number - first_of(block)];
    }

    /// The slot of that number, if there ever was one; else null.
    slot* find(std::uint32_t number) const noexcept
    {
        return number < used_ ? &(*this)[number] : nullptr;
    }

    /// Calls a function for each slot with a task.
    template<class F>
    void for_each(F function) const
    {
        for_each(function, [](const slot&) {});
    }

    /// The same. A while before, calls another function for the slot, which may bring in what will be looked at.
    /** The first function may take the number of the slot, too. */
    template<class F, class Prefetch>
    void for_each(F function, Prefetch prefetch) const
    {
        constexpr std::size_t ahead = 8;
        for (std::size_t block = 0; first_of(block) < used_; ++block) {
            const std::size_t first = first_of(block);
            const std::size_t count = std::min(first_size << block, used_ - first);
            slot* const slots = blocks_[block].get();
            for (std::size_t i = 0; i != count; ++i) {
                if (i + ahead < count && !slots[i + ahead].is_free())
                    prefetch(std::as_const(slots[i + ahead]));
                if (slots[i].is_free())
                    continue;
                if constexpr (std::is_invocable_v<F&, slot&, std::uint32_t>)
                    function(slots[i], static_cast<std::uint32_t>(first + i));
                else
                    function(slots[i]);
            }
        }
    }

    /// Makes room for `count` tasks in all. @throws std::bad_alloc, std::length_error
    void reserve(std::size_t count)
    {
        while (capacity() < count) {
            if (block_count_ == blocks_.size())
                throw std::length_error("joinery: too many tasks");
            blocks_[block_count_] = std::make_unique_for_overwrite<slot[]>(first_size << block_count_);
            ++block_count_;
            room_ = static_cast<std::uint32_t>(first_of(block_count_));
        }
    }

    /// Puts a task into a free slot, and returns its number. @throws what allocating and constructing a key throws
    template<class... Key>
    BOOST_FORCEINLINE std::uint32_t add(task_node& task, Key&&... key)
    {
        const std::uint32_t number = first_free_ != none ? first_free_ : used_;
        if (number == room_) [[unlikely]]
            reserve(std::size_t(room_) + 1);
        slot& place = (*this)[number];
        if constexpr (sizeof...(Key) != 0)
            ::new (static_cast<void*>(place.key_room<K>::key)) K(std::forward<Key>(key)...);
        if (number == used_)
            ++used_;
        else
            first_free_ = place.next_free();
        place.set_task(task);
        ++size_;
        return number;
    }

    /// Frees a slot, whose key has gone or needs no destructor.
    void remove(slot& place, std::uint32_t number) noexcept
    {
        --size_;
        place.set_free(std::exchange(first_free_, number));
    }

    /// The same in two steps. In between, the slot is neither used nor free, and stays where it is.
    void begin_removal(slot& place) noexcept
    {
        --size_;
        place.set_leaving();
    }

    void end_removal(slot& place, std::uint32_t number) noexcept
    {
        place.set_free(std::exchange(first_free_, number));
    }

    /// Gives back room beyond `count` slots, as far as nothing stands there.
    void shrink(std::size_t count) noexcept
    {
        const auto is_vacant = [](const slot& each) { return each.is_free() && !each.is_leaving(); };
        while (used_ != 0 && is_vacant((*this)[used_ - 1]))
            --used_;
        first_free_ = none;
        for (std::uint32_t number = used_; number-- != 0;) {
            if (slot& each = (*this)[number]; is_vacant(each))
                each.set_free(std::exchange(first_free_, number));
        }
        while (block_count_ != 0 && first_of(block_count_ - 1) >= std::max<std::size_t>(count, used_))
            blocks_[--block_count_].reset();
        room_ = static_cast<std::uint32_t>(first_of(block_count_));
    }

private:
    static constexpr int first_bits = 4;
    static constexpr std::size_t first_size = std::size_t(1) << first_bits;

    // As many as there are numbers below `none`.
    using blocks = std::array<std::unique_ptr<slot[]>, 31 - first_bits>;

    /// The number of the first slot of a block.
    static constexpr std::size_t first_of(std::size_t block) noexcept
    {
        return (first_size << block) - first_size;
    }

    blocks blocks_;
    std::size_t block_count_ = 0;
    std::uint32_t room_ = 0; // slots in all blocks
    std::uint32_t used_ = 0; // slots from here on have never been used
    std::size_t size_ = 0;
    std::uint32_t first_free_ = none;
};

} // namespace joinery::detail
