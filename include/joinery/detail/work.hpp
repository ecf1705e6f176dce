// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/task.hpp>

#include <concepts>
#include <functional>
#include <stdexcept>
#include <stop_token>
#include <type_traits>
#include <utility>

namespace joinery::detail {

template<class T>
struct value_of {};

template<class V>
struct value_of<task<V>> {
    using type = V;
};

template<class V, class Executor>
struct value_of<boost::asio::awaitable<V, Executor>> {
    using type = V;
};

template<awaitable_operation Operation>
    requires(!is_task<Operation> && !is_awaitable<Operation>)
struct value_of<Operation> {
    using type = decltype(completion_value(
        std::declval<typename signature_result<boost::asio::completion_signature_of_t<Operation>>::type>()));
};

template<class F>
    requires nullary<F> && (!can_await<F>)
struct value_of<F> {
    using returned = std::invoke_result_t<F&>;

    static auto find()
    {
        if constexpr (can_await<returned>)
            return value_of<std::remove_cvref_t<returned>>();
        else
            return std::type_identity<std::decay_t<returned>>();
    }

    using type = typename decltype(find())::type;
};

/// Anything that can become a task.
template<class Work>
concept work = requires { typename value_of<std::decay_t<Work>>::type; };

/// Whether it is work. Being asked about something else is an error that says what work is: `block_on(5)` would
/// otherwise be a call that matches no function.
template<class Work>
struct is_work : std::bool_constant<work<Work>> {
    static_assert(work<Work>,
                  "joinery: this cannot be spawned. Spawn a joinery::task, an asio::awaitable, a function without "
                  "parameters that returns one of them or a value, or an Asio operation with the token asio::deferred");
};

/// What a piece of work yields.
template<class Work>
    requires(is_work<Work>::value)
using work_value = typename value_of<std::decay_t<Work>>::type;

/// Whether a task of `V` can be made of it: a task of no value takes any, and drops its value.
template<class Work, class V>
concept work_for = work<Work> && (std::is_void_v<V> || std::same_as<work_value<Work>, V> ||
                                  (!std::is_void_v<work_value<Work>> && std::convertible_to<work_value<Work>, V>));

template<class F>
concept stoppable = std::invocable<F&, std::stop_token>;

/// Whether it is a named task or awaitable, which can only be moved.
template<class Work>
concept named_once =
    std::is_lvalue_reference_v<Work> && (is_task<std::decay_t<Work>> || is_awaitable<std::decay_t<Work>>);

/// Whether a function, a task or an awaitable is there at all.
template<class Work>
bool is_null(const Work& work) noexcept
{
    if constexpr (is_task<Work>)
        return !work;
    else if constexpr (is_awaitable<Work>)
        return !work.valid();
    else if constexpr (std::is_constructible_v<Work, std::nullptr_t> && requires { work == nullptr; })
        return work == nullptr;
    else
        return false;
}

// Below, what is awaited is a named object or comes straight from a call: GCC 12 destroys some temporaries of a
// co_await expression twice.

template<class V, class Operation>
task<V> task_of_foreign(Operation operation)
{
    foreign_work<Operation> foreign(std::move(operation));
    if constexpr (std::is_void_v<V>)
        co_await std::move(foreign);
    else
        co_return co_await std::move(foreign);
}

template<class V, class Inner>
task<V> task_of_task(Inner inner)
{
    if constexpr (std::is_void_v<V>)
        co_await std::move(inner);
    else
        co_return co_await std::move(inner);
}

template<class V, class F, class... Args>
task<V> task_of_call(F function, Args... args)
{
    if constexpr (std::is_void_v<V>) {
        static_cast<void>(std::invoke(function, std::move(args)...));
        co_return;
    } else {
        co_return std::invoke(function, std::move(args)...);
    }
}

/// Runs what a function returns. The function, and so what a lambda has captured, lives as long as the task.
template<class V, class F>
task<V> task_of_function(F function)
{
    using inner = std::remove_cvref_t<std::invoke_result_t<F&>>;
    if constexpr (is_task<inner> && std::is_void_v<V>)
        co_await function();
    else if constexpr (is_task<inner>)
        co_return co_await function();
    else {
        foreign_work<inner> foreign(function());
        if constexpr (std::is_void_v<V>)
            co_await std::move(foreign);
        else
            co_return co_await std::move(foreign);
    }
}

template<class V, class Work>
void check_work(const std::remove_reference_t<Work>& work_given)
{
    if constexpr (work<Work>)
        static_assert(work_for<Work, V>,
                      "joinery: the work's value cannot be converted to the value type of the set or map");
    else
        static_cast<void>(is_work<Work>()); // says so
    static_assert(!(named_once<Work> && is_task<std::decay_t<Work>>),
                  "joinery: a task is spawned once; write std::move(the_task)");
    static_assert(!(named_once<Work> && is_awaitable<std::decay_t<Work>>),
                  "joinery: an awaitable is spawned once; write std::move(the_awaitable)");
    if (is_null(work_given))
        throw std::invalid_argument("joinery: spawn of a null function, or of a task that was moved from");
}

/// Makes a task of any work. @throws std::invalid_argument if it is null; what moving and allocating throws
template<class V, class Work>
task<V> make_task(Work&& work_given)
{
    using plain = std::decay_t<Work>;
    check_work<V, Work>(work_given);
    if constexpr (!work_for<plain, V> || named_once<Work>)
        return task<V>(); // said above
    else if constexpr (std::same_as<plain, task<V>>)
        return std::forward<Work>(work_given);
    else if constexpr (is_task<plain>)
        return task_of_task<V, plain>(std::forward<Work>(work_given));
    else if constexpr (can_await<plain>)
        return task_of_foreign<V, plain>(std::forward<Work>(work_given));
    else if constexpr (can_await<std::invoke_result_t<plain&>>)
        return task_of_function<V, plain>(std::forward<Work>(work_given));
    else
        return task_of_call<V, plain>(std::forward<Work>(work_given));
}

} // namespace joinery::detail
