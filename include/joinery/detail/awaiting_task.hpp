// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/step.hpp>

#include <boost/asio/associator.hpp>

namespace joinery::detail {

/// The task, if any, that a completion handler will resume.
/**
 * A result that is given to a task which is aborted at that moment would die with the task's frame. So who
 * must lose no result asks first, and then gives it: from then on the task runs until it waits again.
 */
struct awaiting_task {
    task_node* task = nullptr;
    suspension* waiting = nullptr;

    /// Whether the handler may be given a result. Not for a task that is aborted.
    bool grant() const noexcept
    {
        if (!task)
            return true;
        if (task->must_end())
            return false;
        waiting->granted = true;
        return true;
    }
};

/// Finds the awaiting task of a handler, through whatever Asio's adapters have wrapped around it.
template<class T, class Default = awaiting_task>
struct associated_awaiting_task;

template<class T>
concept knows_awaiting_task = requires(const T& handler) { handler.get_awaiting_task(); };

template<class T, class Default>
struct associated_awaiting_task_of {
    using type = Default;

    static type get(const T&, const Default& otherwise = Default()) noexcept
    {
        return otherwise;
    }
};

template<knows_awaiting_task T, class Default>
struct associated_awaiting_task_of<T, Default> {
    using type = awaiting_task;

    static type get(const T& handler, const Default& = Default()) noexcept
    {
        return handler.get_awaiting_task();
    }
};

template<class T, class Default>
    requires(!knows_awaiting_task<T>) &&
            requires { typename boost::asio::associator<associated_awaiting_task, T, Default>::type; }
struct associated_awaiting_task_of<T, Default> : boost::asio::associator<associated_awaiting_task, T, Default> {};

template<class T, class Default>
struct associated_awaiting_task : associated_awaiting_task_of<T, Default> {};

template<class Handler>
awaiting_task awaiting_task_of(const Handler& handler) noexcept
{
    return associated_awaiting_task<Handler>::get(handler, awaiting_task());
}

} // namespace joinery::detail
