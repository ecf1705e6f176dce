// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await_scope.hpp>
#include <joinery/detail/awaitable_exception_repair.hpp>
#include <joinery/detail/home_of.hpp>
#include <joinery/detail/join_group.hpp>
#include <joinery/detail/task_operation.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/system_executor.hpp>

#include <concepts>
#include <exception>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace joinery {

namespace detail {

template<class V>
struct scope_signature {
    using type = void(std::exception_ptr, V);
};

template<>
struct scope_signature<void> {
    using type = void(std::exception_ptr);
};

template<class V, class Set, class Where, class Body>
task<V> task_of_scope(scope_parts<Set, Where, Body> parts)
{
    scope_work<scope_parts<Set, Where, Body>> scope{std::move(parts)};
    co_return co_await std::move(scope);
}

/// Runs a scope for whatever token was given: in a task of its own, whose end calls the handler.
template<class Parts>
class initiate_scope {
    using value_type = typename Parts::value_type;
    using where_type = decltype(Parts::where);

    // For a handler without an executor.
    using default_executor =
        std::conditional_t<std::same_as<where_type, parents_executor>, boost::asio::system_executor, where_type>;

public:
    explicit initiate_scope(Parts parts)
        : parts_(std::move(parts))
    {
    }

    initiate_scope(initiate_scope&&) = default;
    initiate_scope& operator=(initiate_scope&&) = delete;

    /// Asio's deferred operations must look as if they could be launched more than once.
    initiate_scope(const initiate_scope& other)
        : parts_(copy_of(other.parts_))
    {
    }

    void operator()(scope_probe<Parts> probe) &&
    {
        probe.found.emplace(std::move(parts_));
    }

    template<class Handler>
    void operator()(Handler&& handler) &&
    {
        static_assert(
            std::is_void_v<value_type> || std::is_default_constructible_v<value_type>,
            "joinery: outside of a joinery::task, the value of a scope must be default-constructible, because "
            "a completion handler gets one also when the scope fails");
        using operation = task_operation<value_type, default_executor, std::decay_t<Handler>>;
        std::decay_t<Handler> owned(std::forward<Handler>(handler));
        const default_executor otherwise = default_for(parts_.where);
        const shared_reference<home> there = home_for(boost::asio::get_associated_executor(owned, otherwise));
        operation::start(*there, task_of_scope<value_type>(std::move(parts_)), otherwise, std::move(owned));
    }

private:
    static Parts copy_of(const Parts& parts)
    {
        if constexpr (std::copy_constructible<Parts>)
            return parts;
        else
            throw std::logic_error(
                "joinery: a deferred scope whose body can only be moved is launched once, by std::move");
    }

    static default_executor default_for(const where_type& where)
    {
        if constexpr (std::same_as<where_type, parents_executor>)
            return {};
        else
            return where;
    }

    template<class Executor>
    static shared_reference<home> home_for(const Executor& executor)
    {
        if constexpr (std::same_as<Executor, boost::asio::any_io_executor>)
            return home_of(executor_for_children(executor));
        else
            return home_of(executor);
    }

    Parts parts_;
};

template<class Parts, class Signature>
struct awaiter_of_operation<boost::asio::deferred_async_operation<Signature, initiate_scope<Parts>>, Signature> {
    using type = scope_awaiter<Parts>;
};

template<class Set, class Where, class Body, class Token>
auto start_scope(Where where, Body body, Token& token)
{
    using parts = scope_parts<Set, Where, Body>;
    using signature = typename scope_signature<typename parts::value_type>::type;
    return boost::asio::async_initiate<Token, signature>(
        initiate_scope<parts>(parts{std::move(where), std::move(body)}), token);
}

} // namespace detail

/// Runs a body with a set or map of its own, and is not over before every task in it has ended.
/**
 * Makes a `Set`, and runs `body(set)` as a task on the executor of who awaits this. When the body has returned, waits
 * for the tasks that are left. So a task may refer to what lives in the coroutine that awaits the scope, and in the
 * body's function object: both are there until the last task has ended, whether the scope is left by a return, by an
 * exception, or because the coroutine is aborted. This includes tasks that were replaced. Only `detach_all` lets a task
 * outlive the scope; and the set must not be moved from.
 *
 * - The **body throws**: every task is aborted, and when all have ended, the exception is thrown on.
 * - A **task that nobody has joined fails**, and the body has returned: the others are aborted, and when all have
 *   ended, its exception is thrown. It is the first one; further ones are dropped, and so are the results of all tasks
 *   that nobody has joined.
 * - The **parent is aborted**, or the operation cancelled: the body is aborted, and when it has ended, every task is.
 *   Only when all have ended, the parent's coroutine is destroyed, or the operation completes.
 *
 * While the body runs, a failed task is an outcome to be joined, as ever: the body decides what it means.
 *
 * ```
 * std::vector<page> pages(urls.size());
 * co_await joinery::async_scope<joinery::join_map<std::size_t, void>>([&](auto& tasks) {
 *     for (std::size_t i = 0; i != urls.size(); ++i)
 *         tasks.spawn(i, fetch_into(pages[i], urls[i]));
 * });
 * ```
 *
 * @tparam Set   a `join_set` or `join_map`. It is made from the executor on which the parent runs, which for a task on
 *               a `thread_pool` is the pool, so that the tasks spread
 * @param  body  `R(Set&)`, or one that returns a `task<R>` or an `asio::awaitable<R>`
 * @returns      what the body returns
 * @par Completion Signature
 *   `void(std::exception_ptr, R)`; or, if `R` is `void`, `void(std::exception_ptr)`. In a `joinery::task`, `R` need not
 *   be default-constructible.
 * @par Executor
 *   The handler runs on its associated executor, and never within this call. The body runs on the same executor, in a
 *   serial order of its own.
 * @par Per-Operation Cancellation
 *   `terminal`, `partial` and `total`: as when the parent is aborted.
 * @par Errors
 *   What the body or a task has thrown; `asio::error::operation_aborted` when it was cancelled.
 *   When the execution context is destroyed, the tasks end as `executor_gone`, and then the parent.
 * @pre A task in the scope that runs on another execution context, see `spawn_on`, ends before the context of the
 *   parent is destroyed: the parent's coroutine has to wait for it even then.
 */
template<class Set, class Body, class Token = boost::asio::deferred_t>
    requires detail::scope_body<Body, Set>
auto async_scope(Body&& body, Token&& token = Token())
{
    return detail::start_scope<Set, detail::parents_executor, std::decay_t<Body>, Token>({}, std::forward<Body>(body),
                                                                                         token);
}

/// The same with a set whose tasks run elsewhere: on an executor, an execution context, or a `runtime`.
/** The body, and a handler that has an executor, run where the parent does, as ever. */
template<class Set, class Where, class Body, class Token = boost::asio::deferred_t>
    requires detail::executor_source<Where, typename Set::executor_type> && detail::scope_body<Body, Set>
auto async_scope(Where&& where, Body&& body, Token&& token = Token())
{
    using executor_type = std::decay_t<decltype(detail::executor_of(std::forward<Where>(where)))>;
    return detail::start_scope<Set, executor_type, std::decay_t<Body>, Token>(
        detail::executor_of(std::forward<Where>(where)), std::forward<Body>(body), token);
}

} // namespace joinery
