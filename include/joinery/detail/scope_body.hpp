// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/work.hpp>

#include <boost/asio/this_coro.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// The call of a scope's body, which is work.
template<class Set, class Body>
struct body_call {
    Body& body;
    Set& set;

    decltype(auto) operator()() const
    {
        return std::invoke(body, set);
    }
};

template<class Body, class Set>
concept scope_body = std::invocable<std::decay_t<Body>&, Set&> && work<body_call<Set, std::decay_t<Body>>>;

template<class Set, class Body>
using scope_value = work_value<body_call<Set, Body>>;

// GCC 12 warns of a user's type in the frame of these coroutines if that type is of an unnamed namespace, when they are
// only needed by a virtual function.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsubobject-linkage"
#endif

// Tasks of what a body returns at once, or throws.
template<class V>
task<V> task_of_value(stored_value<V> value)
{
    if constexpr (!std::is_void_v<V>)
        co_return std::move(value);
    else
        co_return;
}

template<class V, class Foreign>
task<V> task_of_awaited(Foreign awaited)
{
    foreign_work<Foreign> foreign(std::move(awaited));
    co_return co_await std::move(foreign);
}

template<class V>
task<V> task_of_failure(std::exception_ptr failure)
{
    co_await boost::asio::this_coro::executor; // to be a coroutine, also where there is no value to return
    std::rethrow_exception(std::move(failure));
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

/// Calls a scope's body, and makes a task of what it returns, or throws.
/** No coroutine does that, so that there is one less, and GCC 12 does not warn of a lambda's type in its frame. */
template<class V, class Set, class Body>
task<V> task_of_body(Body& body, Set& set)
{
    using returned = std::invoke_result_t<Body&, Set&>;
    try {
        if constexpr (is_task<std::remove_cvref_t<returned>>) {
            return make_task<V>(std::invoke(body, set));
        } else if constexpr (can_await<returned>) {
            return task_of_awaited<V>(std::invoke(body, set));
        } else if constexpr (std::is_void_v<V>) {
            std::invoke(body, set);
            return task_of_value<V>({});
        } else {
            return task_of_value<V>(std::invoke(body, set));
        }
    } catch (...) {
        return task_of_failure<V>(std::current_exception());
    }
}

} // namespace joinery::detail
