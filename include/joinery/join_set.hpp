// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/detail/index.hpp>
#include <joinery/detail/join_group.hpp>
#include <joinery/detail/join_table.hpp>
#include <joinery/join_error.hpp>
#include <joinery/local_set.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <source_location>
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
    abort_handle spawn(Work&& work, detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_here(detail::no_options(from), std::forward<Work>(work));
    }

    /// Spawns work with options. All six ways to spawn take them. See `join_map::spawn`.
    template<class Work>
    spawned spawn(Work&& work, const spawn_options& options)
    {
        return this->spawn_here(options, std::forward<Work>(work));
    }

    /// Starts work on another executor, execution context or `runtime`. See `join_map::spawn_on`.
    template<class Where, class Work>
    abort_handle spawn_on(Where&& where, Work&& work,
                          detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_there(detail::no_options(from), std::forward<Where>(where), std::forward<Work>(work));
    }

    template<class Where, class Work>
    spawned spawn_on(Where&& where, Work&& work, const spawn_options& options)
    {
        return this->spawn_there(options, std::forward<Where>(where), std::forward<Work>(work));
    }

    /// Runs a function on the blocking pool of the set's execution context. See `join_map::spawn_blocking`.
    template<class F>
    abort_handle spawn_blocking(F&& function,
                                detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in_pool(detail::no_options(from), this->default_pool(), std::forward<F>(function));
    }

    template<class F>
    spawned spawn_blocking(F&& function, const spawn_options& options)
    {
        return this->spawn_in_pool(options, this->default_pool(), std::forward<F>(function));
    }

    /// Runs a function on a blocking pool. See `join_map::spawn_blocking`.
    template<class F>
    abort_handle spawn_blocking_on(blocking_pool& pool, F&& function,
                                   detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in_pool(detail::no_options(from), pool, std::forward<F>(function));
    }

    template<class F>
    spawned spawn_blocking_on(blocking_pool& pool, F&& function, const spawn_options& options)
    {
        return this->spawn_in_pool(options, pool, std::forward<F>(function));
    }

    /// Starts work on the `local_set` that runs on this thread. @throws std::logic_error if none does
    template<class Work>
    abort_handle spawn_local(Work&& work, detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in(detail::no_options(from), this->current_local_set(), std::forward<Work>(work));
    }

    template<class Work>
    spawned spawn_local(Work&& work, const spawn_options& options)
    {
        return this->spawn_in(options, this->current_local_set(), std::forward<Work>(work));
    }

    /// Starts work on a `local_set`, from its own thread.
    template<class Work>
    abort_handle spawn_local_on(local_set& local, Work&& work,
                                detail::call_site from = detail::call_site(std::source_location::current()))
    {
        return this->spawn_in(detail::no_options(from), local, std::forward<Work>(work));
    }

    template<class Work>
    spawned spawn_local_on(local_set& local, Work&& work, const spawn_options& options)
    {
        return this->spawn_in(options, local, std::forward<Work>(work));
    }

    /// What each task does at this moment, of those that were spawned since `observe`; in no order. Linear.
    std::vector<task_sight> snapshot() const
    {
        return this->table().template snapshot<task_sight>();
    }

    // -- one task, by its id: see `join_map` -----------------------------------------------------------------

    /// Waits for a task to finish, and takes its outcome. See `join_map::async_join`.
    template<class Token = boost::asio::deferred_t>
    auto async_join(task_id id, Token&& token = Token())
    {
        return async_claim<Token>(token, id, false);
    }

    /// Aborts a task, waits until it has ended, and takes its outcome. See `join_map::async_abort`.
    template<class Token = boost::asio::deferred_t>
    auto async_abort(task_id id, Token&& token = Token())
    {
        return async_claim<Token>(token, id, true);
    }

    /// Forgets a task without aborting it. Whether it was there.
    bool detach(task_id id)
    {
        return this->table().detach(id);
    }

    /// Spawns when there is room, and waits until then. See `join_map::async_spawn`.
    template<class Work, class Token = boost::asio::deferred_t>
    auto async_spawn(Work&& work, const spawn_options& options = {}, Token&& token = Token())
    {
        using operation = detail::spawn_join<detail::set_table<V>>;
        return this->template async_special<void(boost::system::error_code, spawned), Token>(
            token, operation(this->table().own_home(), detail::make_task<V>(std::forward<Work>(work)), options));
    }

    /// Asks each task for whose id `matches(id)` holds to end. Returns how many were told. Linear.
    template<class Predicate>
    std::size_t abort_matching(Predicate&& matches)
    {
        return this->table().abort_matching(matches);
    }

    /// Uses the set from any thread, beside its owner: a copy may be kept as long as one likes. See `join_map::handle`.
    class handle : public detail::group_handle<detail::set_table<V>> {
    public:
        /// Spawns work on the set's executor. See `join_map::handle::spawn`.
        template<class Work>
        spawned spawn(Work&& work, const spawn_options& options = {}) const
        {
            return this->put(options, std::forward<Work>(work));
        }

    private:
        friend join_set;

        using detail::group_handle<detail::set_table<V>>::group_handle;
    };

    /// A handle for other threads. @throws std::bad_alloc, and what locking a mutex throws
    handle get_handle()
    {
        this->table().life(); // which only the owner makes
        return handle(this->table());
    }

private:
    template<class Token>
    auto async_claim(std::remove_reference_t<Token>& token, task_id id, bool aborts)
    {
        using signature = void(boost::system::error_code, std::optional<joined>);
        using operation = detail::claim_join<detail::set_table<V>, task_id>;
        return this->template async_special<signature, Token>(token, operation(id, aborts));
    }
};

} // namespace joinery
