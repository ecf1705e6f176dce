// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/detail/index.hpp>
#include <joinery/detail/join_group.hpp>
#include <joinery/detail/join_table.hpp>
#include <joinery/join_error.hpp>
#include <joinery/local_set.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

namespace joinery {

namespace detail {

template<class V>
struct joined_task {
    join_result<V> result; ///< the task's value, or why it has none
    task_id id;            ///< the task
};

template<class V>
using set_table = join_table<void, V, no_hash, no_equal, joined_task<V>>;

} // namespace detail

/// A set of spawned tasks whose outcomes are joined as they finish.
/**
 * What a `join_map` is, without keys; see there for what holds for both.
 *
 * @par Thread Safety Distinct objects: safe. One object: one caller at a time, its owner.
 */
template<class V, class Executor = boost::asio::any_io_executor>
class join_set : public detail::join_group<detail::set_table<V>, Executor> {
    using base = detail::join_group<detail::set_table<V>, Executor>;

public:
    using typename base::joined;

    /// The same with another type of executor.
    template<class Other>
    struct rebind_executor {
        using other = join_set<V, Other>;
    };

    /// Makes a set whose tasks run on an executor, an execution context, or a `runtime`.
    template<detail::executor_source<Executor> Where>
        requires(!std::same_as<std::remove_cvref_t<Where>, join_set>)
    explicit join_set(Where&& where, std::size_t capacity = 0)
        : base(std::forward<Where>(where), capacity, detail::no_hash(), detail::no_equal())
    {
    }

    join_set(join_set&&) noexcept = default;

    /// Aborts and lets go of the tasks of this set, and takes over the other's.
    join_set& operator=(join_set&&) noexcept = default;

    /// Aborts every task. Does not wait: a task that still runs owns what it needs.
    ~join_set() = default;

    /// Starts work on the set's executor. See `join_map::spawn`.
    template<class Work>
    abort_handle spawn(Work&& work)
    {
        return this->spawn_here(std::forward<Work>(work));
    }

    /// Starts work on another executor, execution context or `runtime`. See `join_map::spawn_on`.
    template<class Where, class Work>
    abort_handle spawn_on(Where&& where, Work&& work)
    {
        return this->spawn_there(std::forward<Where>(where), std::forward<Work>(work));
    }

    /// Runs a function on the blocking pool of the set's execution context. See `join_map::spawn_blocking`.
    template<class F>
    abort_handle spawn_blocking(F&& function)
    {
        return this->spawn_in_pool(this->default_pool(), std::forward<F>(function));
    }

    /// Runs a function on a blocking pool. See `join_map::spawn_blocking`.
    template<class F>
    abort_handle spawn_blocking_on(blocking_pool& pool, F&& function)
    {
        return this->spawn_in_pool(pool, std::forward<F>(function));
    }

    /// Starts work on the `local_set` that runs on this thread. @throws std::logic_error if none does
    template<class Work>
    abort_handle spawn_local(Work&& work)
    {
        return this->spawn_in(this->current_local_set(), std::forward<Work>(work));
    }

    /// Starts work on a `local_set`, from its own thread.
    template<class Work>
    abort_handle spawn_local_on(local_set& local, Work&& work)
    {
        return this->spawn_in(local, std::forward<Work>(work));
    }

    /// Waits for all tasks to finish, and takes their outcomes, in the order in which they ended.
    /**
     * @returns  one `joined` for each task; none if the set is empty, which it may be at once
     * @par Completion Signature
     *   `void(boost::system::error_code, std::vector<joined>)`
     * @par Executor
     *   As for `async_join_next`.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total`. Every outcome stays to be joined.
     * @par Errors
     *   As for `async_join_next`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join_all(Token&& token = Token())
    {
        using signature = void(boost::system::error_code, std::vector<joined>);
        return this->template async_join<detail::join_all_operation<detail::set_table<V>>, signature, Token>(token);
    }

    /// Asks each task for whose id `matches(id)` holds to end. Returns how many were told. Linear.
    template<class Predicate>
    std::size_t abort_matching(Predicate&& matches)
    {
        return this->table().abort_matching(matches);
    }
};

} // namespace joinery
