// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/join_set.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery {

/// A set of spawned tasks whose outcomes are joined in the order in which they were spawned.
/**
 * Tasks run at the same time, as those of a `join_set`, but an outcome waits until those of all older tasks have been
 * taken: for the items of a batch whose results belong in order. A task that is aborted is joined in its turn, as
 * cancelled.
 *
 * @par Thread Safety Distinct objects: safe. One object: one caller at a time, its owner.
 */
template<class V, class Executor = boost::asio::any_io_executor>
class join_queue : private join_set<V, Executor> {
    using base = join_set<V, Executor>;

public:
    using typename base::executor_type;
    using typename base::joined;
    using typename base::unfinished_tasks;

    /// The same with another type of executor.
    template<class Other>
    struct rebind_executor {
        using other = join_queue<V, Other>;
    };

    /// Makes a queue whose tasks run on an executor, an execution context, or a `runtime`.
    template<detail::executor_source<Executor> Where>
        requires(!std::same_as<std::remove_cvref_t<Where>, join_queue>)
    explicit join_queue(Where&& where, std::size_t room = 0)
        : base(std::forward<Where>(where), room)
    {
    }

    join_queue(join_queue&&) noexcept = default;

    /// Aborts and lets go of the tasks of this queue, and takes over the other's.
    join_queue& operator=(join_queue&&) noexcept = default;

    /// Aborts every task. Does not wait.
    ~join_queue() = default;

    /// Starts work, in one of the ways of a `join_set`. See there.
    template<class... Arguments>
    auto spawn(Arguments&&... arguments)
    {
        return in_order([&] { return base::spawn(std::forward<Arguments>(arguments)...); });
    }

    template<class... Arguments>
    auto spawn_on(Arguments&&... arguments)
    {
        return in_order([&] { return base::spawn_on(std::forward<Arguments>(arguments)...); });
    }

    template<class... Arguments>
    auto spawn_blocking(Arguments&&... arguments)
    {
        return in_order([&] { return base::spawn_blocking(std::forward<Arguments>(arguments)...); });
    }

    template<class... Arguments>
    auto spawn_blocking_on(Arguments&&... arguments)
    {
        return in_order([&] { return base::spawn_blocking_on(std::forward<Arguments>(arguments)...); });
    }

    template<class... Arguments>
    auto spawn_local(Arguments&&... arguments)
    {
        return in_order([&] { return base::spawn_local(std::forward<Arguments>(arguments)...); });
    }

    template<class... Arguments>
    auto spawn_local_on(Arguments&&... arguments)
    {
        return in_order([&] { return base::spawn_local_on(std::forward<Arguments>(arguments)...); });
    }

    /// Waits for the oldest task to finish, and takes its outcome.
    /**
     * Several joins may wait at once; they are served in order.
     *
     * @returns  `joined`; or `nullopt` when the queue is empty, which it may be at once
     *
     * Completion signature, executor, cancellation and errors are those of `join_set::async_join_next`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join_next(Token&& token = Token())
    {
        using signature = void(boost::system::error_code, std::optional<joined>);
        return this->template async_special<signature, Token>(token, detail::oldest_join<detail::set_table<V>>());
    }

    /// Takes the outcome of the oldest task, if it has ended. Does not wait. Amortised constant.
    std::optional<joined> try_join_next()
    {
        return this->table().try_join_oldest();
    }

    using base::abort_all;
    using base::abort_matching;
    using base::async_shutdown;
    using base::capacity;
    using base::close;
    using base::contains_task;
    using base::counters;
    using base::empty;
    using base::get_executor;
    using base::is_closed;
    using base::observe;
    using base::reserve;
    using base::set_limits;
    using base::shrink_to;
    using base::shrink_to_fit;
    using base::size;
    using base::snapshot;

private:
    template<class Spawn>
    auto in_order(Spawn spawn)
    {
        return this->table().spawn_in_order(spawn);
    }
};

} // namespace joinery
