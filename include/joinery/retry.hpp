// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/random_seed.hpp>
#include <joinery/detail/retry_delays.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/retry_options.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace joinery {

/// The errors after which `retry` tries again, unless it is told otherwise: all.
struct retry_all_errors {
    bool operator()(const std::exception_ptr&) const noexcept
    {
        return true;
    }
};

namespace detail {

/// What one attempt yields: the value of the work that the factory returns, or else what it returns.
template<class Factory>
struct attempt_value {
    using made = std::invoke_result_t<Factory&>;

    static auto find()
    {
        if constexpr (work<made>)
            return value_of<std::decay_t<made>>();
        else
            return std::type_identity<std::decay_t<made>>();
    }

    using type = typename decltype(find())::type;
};

template<class Factory>
using attempt_value_t = typename attempt_value<std::decay_t<Factory>>::type;

template<class V, class Factory>
task<V> make_attempt(Factory& factory)
{
    if constexpr (work<std::invoke_result_t<Factory&>>)
        return make_task<V>(factory());
    else
        return make_task<V>(std::ref(factory));
}

/// A number between 0 and 1 that no other client shares.
inline double random_fraction()
{
    return static_cast<double>(random_seed()[0] >> 11) / static_cast<double>(1ull << 53);
}

template<class V, class Factory, class Predicate>
task<V> run_attempts(Factory factory, retry_delays delays, Predicate is_worth_another)
{
    for (;;) {
        std::exception_ptr failure;
        try {
            task<V> attempt = make_attempt<V>(factory);
            co_return co_await std::move(attempt);
        } catch (...) {
            failure = std::current_exception(); // nothing can be awaited in here
        }
        if (!delays.any_left() || !std::invoke(is_worth_another, std::as_const(failure)))
            std::rethrow_exception(std::move(failure));
        co_await this_task::sleep_for(delays.next(random_fraction()));
    }
}

} // namespace detail

/// Makes a task that does some work, and does it again when it has failed.
/**
 * Calls `factory()`, and awaits what it returns: a `task`, an `awaitable`, an operation, or a function that returns
 * one. If that throws, or the call does, another attempt follows after a delay, for as long as there are attempts left.
 * The exception of the last attempt is thrown.
 *
 * To be aborted is no failure: it ends the task, where it is, and there is no other attempt. But `with_timeout` in the
 * factory limits each attempt, and its `task_cancelled` is an exception like any other.
 *
 * @param factory           a function without parameters; it lives as long as the task
 * @param options           how often, and how soon
 * @param is_worth_another  `bool(const std::exception_ptr&)`: whether there is to be another attempt after an error. By
 *                          default there always is. What it throws is thrown in place of the error
 * @returns                 a task of the work's value, which can be awaited or spawned
 * @throws                  std::invalid_argument  if the options make no sense, see `retry_options`
 */
template<class Factory, class Predicate = retry_all_errors>
    requires detail::nullary<std::decay_t<Factory>> &&
             std::predicate<std::decay_t<Predicate>&, const std::exception_ptr&>
task<detail::attempt_value_t<Factory>> retry(Factory&& factory, const retry_options& options = {},
                                             Predicate&& is_worth_another = {})
{
    return detail::run_attempts<detail::attempt_value_t<Factory>, std::decay_t<Factory>, std::decay_t<Predicate>>(
        std::forward<Factory>(factory), detail::retry_delays(options), std::forward<Predicate>(is_worth_another));
}

} // namespace joinery
