// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/detail/join_group.hpp>
#include <joinery/detail/join_table.hpp>
#include <joinery/join_error.hpp>
#include <joinery/keyed_hash.hpp>
#include <joinery/local_set.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace joinery {

namespace detail {

template<class K, class V>
struct joined_entry {
    K key;                 ///< the key under which the task was spawned
    join_result<V> result; ///< the task's value, or why it has none
    task_id id;            ///< the task
};

template<class K, class V, class Hash, class KeyEqual>
using map_table = join_table<K, V, Hash, KeyEqual, joined_entry<K, V>>;

template<class Hash, class KeyEqual>
concept heterogeneous = requires {
    typename Hash::is_transparent;
    typename KeyEqual::is_transparent;
};

} // namespace detail

/// A set of spawned tasks, each under a key, whose outcomes are joined with their key as they finish.
/**
 * There is at most one task for a key. To spawn on a key in use *replaces*: the old task is aborted and is never
 * joined, also when it had finished.
 *
 * **Work** is a `joinery::task<V>`, an `asio::awaitable<V>`, a function without parameters that returns one of these
 * (it lives as long as the task), a function without parameters that returns a `V` (it runs on the home executor), or
 * an Asio operation, such as `timer.async_wait(asio::deferred)`. A map of `void` takes work of any value, and drops
 * it.
 *
 * **Lifetimes.** When a task has finished, its coroutine, its parameters and its function are gone already; only its
 * result waits to be joined. The destructor of the map aborts every task and waits for none: a task owns what it
 * needs to finish after its map. When the execution context is destroyed first, the tasks on it end as cancelled with
 * `executor_gone`.
 *
 * Members are *owner's* members: called by one thread at a time. Tasks may run and end on any thread meanwhile, and a
 * join may be waiting.
 *
 * @tparam K         the keys; movable
 * @tparam V         what tasks yield: `void`, or a movable type
 * @tparam Hash      for keys. One that is not marked `is_avalanching` is mixed.
 * @tparam KeyEqual  for keys. Lookups take other types than `K` when both are transparent.
 *
 * @par Thread Safety Distinct objects: safe. One object: one caller at a time, its owner.
 */
template<class K, class V, class Hash = keyed_hash<K>, class KeyEqual = std::equal_to<>,
         class Executor = boost::asio::any_io_executor>
class join_map : public detail::join_group<detail::map_table<K, V, Hash, KeyEqual>, Executor> {
    using base = detail::join_group<detail::map_table<K, V, Hash, KeyEqual>, Executor>;

    // What a lookup takes: anything, where hash and equality do; else a K.
    template<class Q>
    using lookup = std::conditional_t<detail::heterogeneous<Hash, KeyEqual>, Q, K>;

public:
    using key_type = K;
    using hasher = Hash;
    using key_equal = KeyEqual;
    using typename base::joined;

    /// The same with another type of executor.
    template<class Other>
    struct rebind_executor {
        using other = join_map<K, V, Hash, KeyEqual, Other>;
    };

    /// Makes a map whose tasks run on an executor, an execution context, or a `runtime`.
    template<detail::executor_source<Executor> Where>
        requires(!std::same_as<std::remove_cvref_t<Where>, join_map>)
    explicit join_map(Where&& where, std::size_t capacity = 0, const Hash& hash = Hash(),
                      const KeyEqual& equal = KeyEqual())
        : base(std::forward<Where>(where), capacity, hash, equal)
    {
    }

    join_map(join_map&&) noexcept = default;

    /// Aborts and lets go of the tasks of this map, and takes over the other's.
    join_map& operator=(join_map&&) noexcept = default;

    /// Aborts every task. Does not wait: a task that still runs owns what it needs.
    ~join_map() = default;

    /// Starts work under a key, on the map's executor.
    /**
     * The work begins when the executor comes to it, never within this call. If the key is in use, the task that has
     * it is aborted (`cancel_reason::replaced`) and removed: it is never joined.
     *
     * @returns  a handle to the new task
     * @throws   std::invalid_argument  if the work is a null function, or a task that was moved from
     * @throws   std::bad_alloc, and what hashing, comparing or moving the key, moving the work, or the executor throws
     * @par Exception Safety
     *   Strong: the map and the old task are as they were.
     * @par Complexity
     *   Amortised constant. One allocation for a `task<V>`, two for a function that returns one.
     */
    template<class Work>
    abort_handle spawn(K key, Work&& work)
    {
        return this->spawn_here(std::forward<Work>(work), std::move(key));
    }

    /// Starts work under a key on another executor, execution context or `runtime`. Else as `spawn`.
    template<class Where, class Work>
    abort_handle spawn_on(Where&& where, K key, Work&& work)
    {
        return this->spawn_there(std::forward<Where>(where), std::forward<Work>(work), std::move(key));
    }

    /// Runs `function()`, or `function(std::stop_token)`, on the blocking pool of the map's execution context.
    /**
     * That is the runtime's pool for a map on a `runtime`; any other execution context gets one of its own when it is
     * first needed. An abort keeps a function that waits for a thread from starting; it stops the token of one that
     * runs, whose value counts all the same.
     *
     * Throws and guarantees what `spawn` does.
     */
    template<class F>
    abort_handle spawn_blocking(K key, F&& function)
    {
        return this->spawn_in_pool(this->default_pool(), std::forward<F>(function), std::move(key));
    }

    /// The same on a given pool.
    template<class F>
    abort_handle spawn_blocking_on(blocking_pool& pool, K key, F&& function)
    {
        return this->spawn_in_pool(pool, std::forward<F>(function), std::move(key));
    }

    /// Starts work under a key on the `local_set` that runs on this thread. Else as `spawn`.
    /** @throws std::logic_error  if no `local_set` runs on this thread */
    template<class Work>
    abort_handle spawn_local(K key, Work&& work)
    {
        return this->spawn_in(this->current_local_set(), std::forward<Work>(work), std::move(key));
    }

    /// Starts work under a key on a `local_set`, from its own thread. Else as `spawn`.
    template<class Work>
    abort_handle spawn_local_on(local_set& local, K key, Work&& work)
    {
        return this->spawn_in(local, std::forward<Work>(work), std::move(key));
    }

    /// Asks the task under a key to end. Whether it was told: there is one, and it had not finished.
    /** It stays in the map, to be joined as cancelled. @throws what hashing and comparing throws */
    template<class Q = K>
    bool abort(const Q& key)
    {
        const detail::join_state::section owner(this->table());
        const auto* const found = slot(key);
        return found && found->task()->abort(cancel_reason::aborted);
    }

    /// Asks each task for whose key `matches(key)` holds to end. Returns how many were told. Linear.
    /**
     * The predicate may use the map. It sees each task that was there at the call, unless it leaves meanwhile; its
     * reference to the key is valid until it changes the map.
     */
    template<class Predicate>
    std::size_t abort_matching(Predicate&& matches)
    {
        return this->table().abort_matching(matches);
    }

    /// A handle to the task under a key, if there is one. @throws what hashing and comparing throws
    template<class Q = K>
    std::optional<abort_handle> find(const Q& key) const
    {
        const detail::join_state::section owner(this->table());
        const auto* const found = slot(key);
        return found ? std::optional(detail::abort_handle_access::make(*found->task())) : std::nullopt;
    }

    /// Whether there is a task, finished or not, under a key. @throws what hashing and comparing throws
    template<class Q = K>
    bool contains(const Q& key) const
    {
        const detail::join_state::section owner(this->table());
        return slot(key) != nullptr;
    }

    /// A copy of the keys of all tasks, finished or not, in no order. Linear.
    std::vector<K> keys() const
        requires std::copy_constructible<K>
    {
        const detail::join_state::section owner(this->table());
        std::vector<K> keys;
        keys.reserve(this->table().index().size());
        this->table().index().for_each([&keys](const auto& entry) { keys.push_back(entry.key()); });
        return keys;
    }

    hasher hash_function() const
    {
        return this->table().index().hash_function();
    }

    key_equal key_eq() const
    {
        return this->table().index().key_eq();
    }

private:
    template<class Q>
    auto slot(const Q& key) const
    {
        const auto& index = this->table().index();
        const lookup<Q>& wanted = key;
        return index.find(wanted, index.hash(wanted));
    }
};

} // namespace joinery
