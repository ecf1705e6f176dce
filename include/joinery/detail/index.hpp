// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_node.hpp>
#include <joinery/keyed_hash.hpp>

#include <boost/unordered/hash_traits.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// A key as the index keeps it: such that moving it cannot fail, so that the index can grow without losing any.
template<class K>
class stored_key {
public:
    explicit stored_key(K&& key)
        : key_(std::move(key))
    {
    }

    const K& get() const noexcept
    {
        return key_;
    }

    K take() noexcept
    {
        return std::move(key_);
    }

private:
    K key_;
};

template<class K>
    requires(!std::is_nothrow_move_constructible_v<K>)
class stored_key<K> {
public:
    explicit stored_key(K&& key)
        : key_(std::make_unique<K>(std::move(key)))
    {
    }

    const K& get() const noexcept
    {
        return *key_;
    }

    K take()
    {
        return std::move(*key_);
    }

private:
    std::unique_ptr<K> key_;
};

/// The hash and the equality of keys where there are none.
struct no_hash {};
struct no_equal {};

/// Finds a task by its key, or by itself and its stored hash. Neither way needs the other.
/**
 * A flat table of {key, task, hash}. A task that has ended is removed by the hash that its node keeps, so its key is
 * hashed once in its life, and a task that was replaced finds nothing, because its successor is another task.
 *
 * `K` is `void` in the index of a `join_set`, where a task's number is its hash.
 *
 * Rejected: a map from keys to tasks beside a map from ids to hashes, as tokio-util has it: twice the memory and the
 * misses. A table with the hash in the node alone: growing would touch every node.
 */
template<class K, class Hash, class KeyEqual>
class task_index {
    static constexpr bool has_keys = !std::is_void_v<K>;

    struct no_key {};

    using key_part = std::conditional_t<has_keys, stored_key<std::conditional_t<has_keys, K, int>>, no_key>;

public:
    struct slot {
        [[no_unique_address]] key_part key;
        mutable task_node* task; // not a part of what the table looks at when it holds a key
        std::size_t hash;
    };

private:
    struct by_task {
        const task_node& task;
    };

    struct by_number {
        std::size_t hash;
        std::uint64_t number;
    };

    template<class Q>
    struct by_key {
        std::size_t hash;
        const Q& key;
    };

    struct slot_hash {
        using is_avalanching = void;
        using is_transparent = void;

        std::size_t operator()(const slot& entry) const noexcept
        {
            return entry.hash;
        }

        std::size_t operator()(const by_task& wanted) const noexcept
        {
            return wanted.task.hash();
        }

        std::size_t operator()(const by_number& wanted) const noexcept
        {
            return wanted.hash;
        }

        template<class Q>
        std::size_t operator()(const by_key<Q>& wanted) const noexcept
        {
            return wanted.hash;
        }
    };

    struct slot_equal {
        using is_transparent = void;

        bool operator()(const slot& a, const slot& b) const noexcept(!has_keys)
        {
            if constexpr (has_keys)
                return a.hash == b.hash && equal(a.key.get(), b.key.get());
            else
                return a.task == b.task;
        }

        bool operator()(const by_task& wanted, const slot& entry) const noexcept
        {
            return &wanted.task == entry.task;
        }

        bool operator()(const by_number& wanted, const slot& entry) const noexcept
        {
            return wanted.number == entry.task->number();
        }

        template<class Q>
        bool operator()(const by_key<Q>& wanted, const slot& entry) const
        {
            return wanted.hash == entry.hash && equal(entry.key.get(), wanted.key);
        }

        template<class Q>
        bool operator()(const slot& entry, const Q& wanted) const
        {
            return (*this)(wanted, entry);
        }

        [[no_unique_address]] KeyEqual equal;
    };

public:
    using table = boost::unordered_flat_set<slot, slot_hash, slot_equal>;

    task_index(std::size_t capacity, const Hash& hash, const KeyEqual& equal)
        : table_(0, slot_hash(), slot_equal{equal})
        , hash_(hash)
    {
        table_.reserve(capacity);
    }

    std::size_t size() const noexcept
    {
        return table_.size();
    }

    std::size_t capacity() const noexcept
    {
        return table_.max_load();
    }

    /// Never gives back room, which the table's own `reserve` does.
    void reserve(std::size_t count)
    {
        if (count > capacity())
            table_.reserve(count);
    }

    void shrink(std::size_t capacity)
    {
        const std::size_t count = std::max(capacity, table_.size());
        table_.rehash(0);
        table_.reserve(count);
    }

    /// The hash of a key. @throws what the user's hash throws.
    template<class Q>
    std::size_t hash(const Q& key) const
    {
        const std::size_t hash = hash_(key);
        if constexpr (boost::unordered::hash_is_avalanching<Hash>::value)
            return hash;
        else
            return mix(hash);
    }

    /// The slot of a key, or null. Valid until the index changes. @throws what the user's equality throws.
    template<class Q>
    const slot* find(const Q& key, std::size_t hash) const
    {
        return pointer(table_.find(by_key<Q>{hash, key}));
    }

    const slot* find(const task_node& task) const noexcept
    {
        return pointer(table_.find(by_task{task}));
    }

    const slot* find(task_id id) const noexcept
    {
        return pointer(table_.find(by_number{task_node::hash_of(id), id.value()}));
    }

    /// Adds a slot, unless one with the same key is there. That slot, and whether it is the new one. Strong guarantee.
    std::pair<const slot*, bool> insert(slot&& entry)
    {
        const auto [found, is_new] = table_.insert(std::move(entry));
        return {&*found, is_new};
    }

    void erase(const task_node& task) noexcept
    {
        table_.erase(table_.find(by_task{task}));
    }

    /// Removes the slot of a task, and returns its key, or nothing if the task is not there.
    std::optional<key_part> extract(const task_node& task) noexcept
    {
        const auto found = table_.find(by_task{task});
        if (found == table_.end())
            return std::nullopt;
        // The key is no part of what the table looks at when it erases.
        std::optional<key_part> key(std::move(const_cast<slot&>(*found).key));
        table_.erase(found);
        return key;
    }

    /// An empty table, for `swap`.
    table empty_table() const noexcept
    {
        return table(0, slot_hash(), table_.key_eq());
    }

    /// Takes the slots of another table, and leaves it what was here, keys and all.
    void swap(table& other) noexcept
    {
        table_.swap(other);
    }

    auto begin() const noexcept
    {
        return table_.begin();
    }

    auto end() const noexcept
    {
        return table_.end();
    }

    const Hash& hash_function() const noexcept
    {
        return hash_;
    }

    KeyEqual key_eq() const
    {
        return table_.key_eq().equal;
    }

private:
    static std::size_t mix(std::size_t hash) noexcept
    {
        return static_cast<std::size_t>(folded_product(hash ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u));
    }

    template<class Iterator>
    const slot* pointer(Iterator found) const noexcept
    {
        return found == table_.end() ? nullptr : &*found;
    }

    table table_;
    [[no_unique_address]] Hash hash_;
};

} // namespace joinery::detail
