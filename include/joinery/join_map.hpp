// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/detail/join_group.hpp>
#include <joinery/detail/join_table.hpp>
#include <joinery/join_error.hpp>
#include <joinery/keyed_hash.hpp>
#include <joinery/local_set.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
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
    using table_type = detail::map_table<K, V, Hash, KeyEqual>;
    using base = detail::join_group<table_type, Executor>;

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
     * @throws   boost::system::system_error  with `errc::closed` or `errc::full`: see `close` and `set_limits`
     * @throws   std::bad_alloc, and what hashing, comparing or moving the key, moving the work, or the executor throws
     * @par Exception Safety
     *   Strong: the map and the old task are as they were.
     * @par Complexity
     *   Amortised constant. One allocation for a `task<V>`, two for a function that returns one.
     */
    template<class Work>
    abort_handle spawn(K key, Work&& work, detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_here(detail::no_options(from), std::forward<Work>(work), std::move(key));
    }

    /// Spawns work under a key, with options: what to do if the key is in use, when to start, how long to go on.
    /**
     * All six ways to spawn take options. What waits for its start and is aborted goes to its executor
     * at once, whatever it waited for, and ends there without being entered.
     *
     * @returns  a handle, and what became of the work
     * @throws   boost::system::system_error  with `errc::closed`; with `errc::full` if it would have to wait, and as many
     *           as may do so wait already
     * @throws   what `spawn` without options throws, and with the same guarantee
     */
    template<class Work>
    spawned spawn(K key, Work&& work, const spawn_options& options)
    {
        return this->spawn_here(options, std::forward<Work>(work), std::move(key));
    }

    /// Starts work under a key on another executor, execution context or `runtime`. Else as `spawn`.
    template<class Where, class Work>
    abort_handle spawn_on(Where&& where, K key, Work&& work,
                          detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_there(detail::no_options(from), std::forward<Where>(where), std::forward<Work>(work),
                                 std::move(key));
    }

    template<class Where, class Work>
    spawned spawn_on(Where&& where, K key, Work&& work, const spawn_options& options)
    {
        return this->spawn_there(options, std::forward<Where>(where), std::forward<Work>(work), std::move(key));
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
    abort_handle spawn_blocking(K key, F&& function,
                                detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in_pool(detail::no_options(from), this->default_pool(), std::forward<F>(function),
                                   std::move(key));
    }

    template<class F>
    spawned spawn_blocking(K key, F&& function, const spawn_options& options)
    {
        return this->spawn_in_pool(options, this->default_pool(), std::forward<F>(function), std::move(key));
    }

    /// The same on a given pool.
    template<class F>
    abort_handle spawn_blocking_on(blocking_pool& pool, K key, F&& function,
                                   detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in_pool(detail::no_options(from), pool, std::forward<F>(function), std::move(key));
    }

    template<class F>
    spawned spawn_blocking_on(blocking_pool& pool, K key, F&& function, const spawn_options& options)
    {
        return this->spawn_in_pool(options, pool, std::forward<F>(function), std::move(key));
    }

    /// Starts work under a key on the `local_set` that runs on this thread. Else as `spawn`.
    /** @throws std::logic_error  if no `local_set` runs on this thread */
    template<class Work>
    abort_handle spawn_local(K key, Work&& work,
                             detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in(detail::no_options(from), this->current_local_set(), std::forward<Work>(work),
                              std::move(key));
    }

    template<class Work>
    spawned spawn_local(K key, Work&& work, const spawn_options& options)
    {
        return this->spawn_in(options, this->current_local_set(), std::forward<Work>(work), std::move(key));
    }

    /// Starts work under a key on a `local_set`, from its own thread. Else as `spawn`.
    template<class Work>
    abort_handle spawn_local_on(local_set& local, K key, Work&& work,
                                detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in(detail::no_options(from), local, std::forward<Work>(work), std::move(key));
    }

    template<class Work>
    spawned spawn_local_on(local_set& local, K key, Work&& work, const spawn_options& options)
    {
        return this->spawn_in(options, local, std::forward<Work>(work), std::move(key));
    }

    /// Sets what a spawn on a key in use does, if its own options do not say. At first, it replaces.
    /** @throws std::bad_alloc */
    void set_conflict_policy(on_conflict policy)
    {
        this->table().set_conflict_policy(policy);
    }

    /// Spawns when there is room, and waits until then. Else as `spawn`.
    /**
     * Room is what the limits leave: for a task that runs, or for one that waits. Those who wait for room get it in order,
     * and before who spawns without waiting. The work of one that gives up is destroyed, unstarted.
     *
     * @par Completion Signature
     *   `void(boost::system::error_code, spawned)`
     * @par Executor
     *   As for `async_join_next`; the spawn happens there.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total`. Then nothing has been spawned.
     * @par Errors
     *   `errc::closed`; and as for `async_join_next`.
     */
    template<class Work, class Token = boost::asio::deferred_t>
    auto async_spawn(K key, Work&& work, const spawn_options& options = {}, Token&& token = Token())
    {
        using operation = detail::spawn_join<table_type, K>;
        return this->template async_special<void(boost::system::error_code, spawned), Token>(
            token, operation(this->table().own_home(), detail::make_task<V>(std::forward<Work>(work)), options,
                             std::move(key)));
    }

    // -- one key -------------------------------------------------------------------------------------------

    /// Waits for the task under a key to finish, and takes its outcome.
    /**
     * While someone waits so, the task is passed by by those who join the next one. Several may wait for one key: if `V`
     * can be copied, each gets the outcome; else the first does, and the others get `nullopt`. A task that is replaced, or
     * shut down, ends the wait at once as cancelled, whether it has ended or not.
     *
     * @returns  `joined`; or `nullopt` if there is no such task, or it was detached, or another took its outcome
     * @par Completion Signature
     *   `void(boost::system::error_code, std::optional<joined>)`
     * @par Executor
     *   As for `async_join_next`.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total`. No outcome is lost: the task is one of those to be joined again.
     * @par Errors
     *   As for `async_join_next`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join(K key, Token&& token = Token())
    {
        return async_claim<Token>(token, detail::claim_join<table_type, K>(std::move(key), false));
    }

    /// Aborts the task under a key, waits until it has ended, and takes its outcome. Else as `async_join`.
    /** The abort happens when the operation is initiated. */
    template<class Token = boost::asio::deferred_t>
    auto async_abort(K key, Token&& token = Token())
    {
        return async_claim<Token>(token, detail::claim_join<table_type, K>(std::move(key), true));
    }

    /// Shares the outcome of the task under a key; spawns the work for it if there is none. Else as `async_join`.
    /**
     * All who ask for a key while its task is there get a copy of its outcome, and the last one removes the task: the next
     * to ask spawns anew. One who gives up harms no other. When the last one gives up, the task is aborted and dropped,
     * if it was spawned by this function.
     *
     * @par Errors
     *   `errc::closed`, or `errc::full`, if the work had to be spawned and was refused; and as for `async_join_next`.
     */
    template<class Work, class Token = boost::asio::deferred_t>
    auto async_get(K key, Work&& work, Token&& token = Token())
    {
        static_assert(std::is_void_v<V> || std::copy_constructible<V>,
                      "joinery: async_get shares an outcome, so the map's value type must be copyable");
        static_assert(std::copy_constructible<K>, "joinery: async_get needs a key that can be copied");
        using operation = detail::shared_join<table_type, K>;
        return async_claim<Token>(
            token, operation(std::move(key), this->table().own_home(), detail::make_task<V>(std::forward<Work>(work))));
    }

    /// Spawns work under a key, and waits until it says that it is ready.
    /**
     * `function(ready)` returns work, such as a task; its parameter, a `ready_signal<T>`, is to be called with a `T` (with
     * nothing if that is `void`) when the task is ready, as a server is that listens to its port. What becomes of the task
     * before that is for who started it; what comes after is for who joins.
     *
     * @returns  the `T`; the error of a task that failed or was aborted before it was ready, and is joined by that; or
     *           `nullopt` if it has ended with a value and was never ready, or was not spawned, because the key was in use
     * @par Completion Signature
     *   `void(boost::system::error_code, std::optional<join_result<T>>)`
     * @par Executor
     *   As for `async_join_next`.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total` end the waiting; the task goes on, to be joined.
     * @par Errors
     *   `errc::closed`, `errc::full`; and as for `async_join_next`.
     */
    template<class T = void, class F, class Token = boost::asio::deferred_t>
    auto async_start(K key, F&& function, const spawn_options& options = {}, Token&& token = Token())
    {
        using signal = ready_signal<T>;
        using operation = detail::start_join<table_type, T, K>;
        auto ready = detail::shared_reference<detail::readiness<table_type, T>>::adopt(
            new detail::readiness<table_type, T>(this->table()));
        auto work =
            detail::make_task<V>([function = std::decay_t<F>(std::forward<F>(function)),
                                  said = signal(ready)]() mutable { return std::invoke(function, std::move(said)); });
        return this->template async_special<void(boost::system::error_code, std::optional<join_result<T>>), Token>(
            token, operation(std::move(ready), this->table().own_home(), std::move(work), options, std::move(key)));
    }

    /// Says that a task is ready, once, from any thread. Copies say so for the same task.
    template<class T>
    class ready_signal {
    public:
        explicit ready_signal(detail::shared_reference<detail::readiness<table_type, T>> ready) noexcept
            : ready_(std::move(ready))
        {
        }

        template<class... Args>
            requires std::constructible_from<detail::stored_value<T>, Args...>
        void operator()(Args&&... args) const
        {
            ready_->set(std::forward<Args>(args)...);
        }

    private:
        detail::shared_reference<detail::readiness<table_type, T>> ready_;
    };

    /// Forgets the task under a key without aborting it: it runs on, and what it yields is dropped. Whether there was one.
    template<class Q = K>
    bool detach(const Q& key)
    {
        const lookup<Q>& wanted = key;
        return this->table().detach(wanted);
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
        this->table().index().for_each_key([&keys](const auto& entry) { keys.push_back(entry.key()); });
        return keys;
    }

    /// What is seen of one task: see `task_sight`.
    struct sight : task_sight {
        K key;
    };

    /// What each task does at this moment, of those that were spawned since `observe`; in no order. Linear.
    std::vector<sight> snapshot() const
        requires std::copy_constructible<K>
    {
        return this->table().template snapshot<sight>();
    }

    hasher hash_function() const
    {
        return this->table().index().hash_function();
    }

    key_equal key_eq() const
    {
        return this->table().index().key_eq();
    }

    /// Uses the map from any thread, beside its owner: a copy may be kept as long as one likes.
    /**
     * While there is one, the owner's calls take a lock, so that all calls are in one order. It keeps neither the map nor
     * its tasks: when the map is gone, it is closed and empty to a handle.
     *
     * @par Thread Safety Distinct objects: safe. One object: safe for `const` members.
     */
    class handle : public detail::group_handle<table_type> {
    public:
        /// Spawns work under a key, on the map's executor. See `join_map::spawn`.
        /** @throws boost::system::system_error  with `errc::closed`, also when the map is gone, or with `errc::full` */
        template<class Work>
        spawned spawn(K key, Work&& work, const spawn_options& options = {}) const
        {
            return this->put(options, std::forward<Work>(work), std::move(key));
        }

        /// Asks the task under a key to end. Whether it was told.
        template<class Q = K>
        bool abort(const Q& key) const
        {
            const detail::join_state::section owner(this->table(), true);
            const lookup<Q>& wanted = key;
            detail::task_node* const found = this->table().find_task(wanted);
            return found && found->abort(cancel_reason::aborted);
        }

        template<class Q = K>
        bool contains(const Q& key) const
        {
            const detail::join_state::section owner(this->table(), true);
            const lookup<Q>& wanted = key;
            return this->table().find_task(wanted) != nullptr;
        }

    private:
        friend join_map;

        using detail::group_handle<table_type>::group_handle;
    };

    /// A handle for other threads. @throws std::bad_alloc, and what locking a mutex throws
    handle get_handle()
    {
        this->table().life(); // which only the owner makes
        return handle(this->table());
    }

private:
    template<class Token, class Operation>
    auto async_claim(std::remove_reference_t<Token>& token, Operation operation)
    {
        using signature = void(boost::system::error_code, std::optional<joined>);
        return this->template async_special<signature, Token>(token, std::move(operation));
    }

    template<class Q>
    auto slot(const Q& key) const
    {
        const auto& index = this->table().index();
        const lookup<Q>& wanted = key;
        return index.find(wanted, index.hash(wanted));
    }
};

} // namespace joinery
