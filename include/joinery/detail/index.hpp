// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/hash_groups.hpp>
#include <joinery/detail/slot_table.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/keyed_hash.hpp>

#include <boost/config.hpp>
#include <boost/unordered/hash_traits.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// The hash and the equality of keys where there are none.
struct no_hash {};
struct no_equal {};

/// Finds a task by its key, by itself and by its id. Neither way needs another.
/**
 * Each task has a slot, with its key. A task knows the number of its slot, and the hash of its key; an id knows the number,
 * too. So a task that has ended is found and removed without a search, and its key is hashed
 * once in its life. A task that was replaced finds another task in its slot, and so nothing.
 *
 * `K` is `void` in the index of a `join_set`, which needs slots only.
 *
 * Rejected: a map from keys to tasks beside a map from ids to hashes, as tokio-util has it: twice the memory and the
 * misses. One flat table of {key, task, hash}: its slots are large and stand in the order of hashes, so each join misses
 * the cache where it now finds slots in the order of spawning; and to grow moves every key.
 */
template<class K, class Hash, class KeyEqual>
class task_index {
    static constexpr bool has_keys = !std::is_void_v<K>;
    static constexpr std::uint32_t unkeyed = hash_groups::none; // the position of a key that is not found any more

    // Whether to move a key, or to destroy one, may call code of the user's, which may call the map.
    static constexpr bool keys_run_code =
        has_keys && !(std::is_trivially_move_constructible_v<K> && std::is_trivially_destructible_v<K>);

public:
    using slot = task_slot<K>;

    /// The slots and hashes of an index, without its functions.
    class table {
    public:
        std::size_t size() const noexcept
        {
            return slots.size();
        }

    private:
        friend task_index;

        slot_table<K> slots;
        hash_groups hashes;
    };

    task_index(std::size_t capacity, const Hash& hash, const KeyEqual& equal)
        : hash_(hash)
        , equal_(equal)
    {
        reserve(capacity);
    }

    std::size_t size() const noexcept
    {
        return table_.slots.size();
    }

    std::size_t capacity() const noexcept
    {
        const std::size_t slots = table_.slots.capacity();
        return has_keys ? std::min(slots, table_.hashes.capacity()) : slots;
    }

    /// Makes room for `count` tasks in all. @throws std::bad_alloc, std::length_error
    void reserve(std::size_t count)
    {
        table_.slots.reserve(count);
        if constexpr (has_keys) {
            if (count > table_.hashes.capacity())
                rehash(count);
        }
    }

    /// Gives back room, but keeps what is needed for `capacity` tasks and for those that are there, where they are.
    void shrink(std::size_t capacity)
    {
        const std::size_t count = std::max(capacity, size());
        if constexpr (has_keys)
            rehash(count);
        table_.slots.shrink(count);
    }

    /// The hash of a key. @throws what the user's hash throws.
    template<class Q>
    std::uint32_t hash(const Q& key) const
    {
        const std::size_t hash = hash_(key);
        if constexpr (boost::unordered::hash_is_avalanching<Hash>::value)
            return static_cast<std::uint32_t>(hash);
        else
            return mix(hash);
    }

    /// The slot of a key, or null. It stays where it is until the task leaves. @throws what the user's equality throws.
    template<class Q>
    slot* find(const Q& key, std::uint32_t hash) const
    {
        const auto is_wanted = [&](std::uint32_t number) {
            const slot& each = table_.slots[number];
            return each.hash == hash && equal_(each.key(), key);
        };
        const std::uint32_t number = table_.hashes.find(hash, is_wanted);
        return number == hash_groups::none ? nullptr : &table_.slots[number];
    }

    slot* find(const task_node& task) const noexcept
    {
        slot* const found = table_.slots.find(task.slot_);
        return found && found->task() == &task ? found : nullptr;
    }

    slot* find(task_id id) const noexcept
    {
        slot* const found = table_.slots.find(task_node::slot_of(id));
        return found && found->task() && found->task()->number() == id.value() ? found : nullptr;
    }

    /// Adds a task under a key that is not there. Strong guarantee. @throws what moving the key and allocating throws
    template<class... Key>
    BOOST_FORCEINLINE void insert(task_node& task, std::uint32_t hash, Key&&... key)
    {
        if constexpr (has_keys) {
            if (size() >= table_.hashes.capacity()) [[unlikely]]
                rehash(size() + size() / 2 + 1);
        }
        const std::uint32_t number = table_.slots.add(task, std::forward<Key>(key)...);
        if constexpr (has_keys) {
            slot& place = table_.slots[number];
            place.hash = hash;
            place.position = table_.hashes.insert(hash, number);
        }
        task.slot_ = number;
    }

    /// Puts a task into the slot of another.
    static void replace(slot& place, task_node& by) noexcept
    {
        by.slot_ = place.task()->slot_;
        place.set_task(by);
    }

    /// Adds a task under the key of another, which stays, but is found by its key no more. Strong guarantee.
    /** @throws what moving the key and allocating throws */
    template<class Key>
    void supersede(slot& old, task_node& task, Key&& key)
    {
        const std::uint32_t number = table_.slots.add(task, std::forward<Key>(key));
        slot& place = table_.slots[number];
        place.hash = old.hash;
        place.position = std::exchange(old.position, unkeyed);
        table_.hashes.renumber(place.position, number);
        task.slot_ = number;
    }

    /// Undoes `supersede`.
    void restore(slot& old, const task_node& task) noexcept
    {
        slot& place = *find(task);
        old.position = std::exchange(place.position, unkeyed);
        table_.hashes.renumber(old.position, old.task()->slot_);
        erase(task);
    }

    /// @pre the task is there
    void erase(const task_node& task) noexcept
    {
        const removal all(*this, task);
    }

    /// Removes a task, and returns its key, also if moving the key throws. @pre the task is there
    auto extract(const task_node& task)
    {
        const removal around(*this, task);
        if constexpr (has_keys)
            return K(std::move(around.key()));
    }

    /// Leaves what is here, keys and all, to a table that was empty; or keeps it until the last removal from it is over.
    void swap(table& empty) noexcept
    {
        table_.slots.swap(empty.slots);
        table_.hashes.swap(empty.hashes);
        if constexpr (keys_run_code) {
            if (removal_ && !removal_->left)
                removal_->left.emplace(std::move(empty.slots));
        }
    }

    /// Calls a function for each slot, which will look at the task. It must not change the index.
    template<class F>
    void for_each(F function) const
    {
        constexpr std::size_t many = 10'000; // of fewer, all are in the cache
        if (size() < many)
            for_each_key(function);
        else
            table_.slots.for_each([&function](const slot& each) { function(each); },
                                  [](const slot& each) { each.prefetch_task(); });
    }

    /// Calls a function for each slot, which will look at the key alone. It must not change the index.
    template<class F>
    void for_each_key(F function) const
    {
        table_.slots.for_each([&function](const slot& each) { function(each); });
    }

    /// Brings in the task that `find` will look at.
    void prefetch(task_id id) const noexcept
    {
        if (const slot* const place = table_.slots.find(task_node::slot_of(id)))
            place->prefetch_task();
    }

    /// Brings in what `extract` will look at.
    void prefetch(const task_node& task) const noexcept
    {
        if constexpr (has_keys) {
            if (const std::uint32_t position = table_.slots[task.slot_].position; position != unkeyed)
                table_.hashes.prefetch(position);
        }
    }

    const Hash& hash_function() const noexcept
    {
        return hash_;
    }

    const KeyEqual& key_eq() const noexcept
    {
        return equal_;
    }

private:
    /// Removes a task, whose key may be moved out meanwhile.
    class plain_removal {
    public:
        BOOST_FORCEINLINE plain_removal(task_index& index, const task_node& task) noexcept
            : from_(index.table_)
            , number_(task.slot_)
        {
        }

        BOOST_FORCEINLINE ~plain_removal()
        {
            slot& place = from_.slots[number_];
            if constexpr (has_keys) {
                if (place.position != unkeyed) [[likely]]
                    from_.hashes.erase(place.hash, place.position);
            }
            from_.slots.remove(place, number_);
        }

        plain_removal(const plain_removal&) = delete;
        plain_removal& operator=(const plain_removal&) = delete;

        auto& key() const noexcept
        {
            return from_.slots[number_].key();
        }

    private:
        table& from_;
        const std::uint32_t number_;
    };

    /// The same where the key's code may call the map: it finds the task gone, and the slot stays until that is over.
    /**
     * Removals may stand within each other. What the map leaves meanwhile, to be empty at once, is kept by the innermost,
     * and at its end by the one around it, unless that began when the map was another: then what it keeps is older.
     */
    class reentrant_removal {
    public:
        reentrant_removal(task_index& index, const task_node& task) noexcept
            : index_(index)
            , around_(std::exchange(index.removal_, this))
            , number_(task.slot_)
            , place_(index.table_.slots[number_])
        {
            if (place_.position != unkeyed) [[likely]]
                index.table_.hashes.erase(place_.hash, place_.position);
            index.table_.slots.begin_removal(place_);
        }

        ~reentrant_removal()
        {
            std::destroy_at(&place_.key());
            index_.removal_ = around_;
            if (!left) [[likely]]
                index_.table_.slots.end_removal(place_, number_);
            else if (around_ && !around_->left)
                around_->left.emplace(std::move(*left));
        }

        reentrant_removal(const reentrant_removal&) = delete;
        reentrant_removal& operator=(const reentrant_removal&) = delete;

        auto& key() const noexcept
        {
            return place_.key();
        }

        std::optional<slot_table<K>> left; // has the slot, if it is there

    private:
        task_index& index_;
        reentrant_removal* const around_;
        const std::uint32_t number_;
        slot& place_;
    };

    struct no_removal {};

    using removal = std::conditional_t<keys_run_code, reentrant_removal, plain_removal>;

    void rehash(std::size_t count)
        requires has_keys
    {
        hash_groups fresh(count);
        table_.slots.for_each(
            [&fresh](slot& each, std::uint32_t number) {
                if (each.position != unkeyed)
                    each.position = fresh.insert(each.hash, number);
            },
            [&fresh](const slot& each) { fresh.prefetch_for(each.hash); });
        table_.hashes = std::move(fresh);
    }

    static std::uint32_t mix(std::size_t hash) noexcept
    {
        return static_cast<std::uint32_t>(folded_product(hash ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u));
    }

    table table_;
    [[no_unique_address]] std::conditional_t<keys_run_code, reentrant_removal*, no_removal> removal_{}; // the innermost
    [[no_unique_address]] Hash hash_;
    [[no_unique_address]] KeyEqual equal_;
};

} // namespace joinery::detail
