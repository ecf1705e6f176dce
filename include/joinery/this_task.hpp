// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>

namespace joinery::this_task {

namespace detail {

struct id_request {};
struct abort_requested_request {};
struct yield_request {};
struct sleep_forever_request {};

struct sleep_request {
    std::chrono::steady_clock::time_point deadline;
};

} // namespace detail

/// `co_await this_task::id()` is the `task_id` of the task that runs. It does not suspend.
[[nodiscard]] constexpr detail::id_request id() noexcept
{
    return {};
}

/// `co_await this_task::abort_requested()` is whether someone asked the task to end. It does not suspend.
/**
 * A task need not ask: it ends at its next asynchronous `co_await` in any case. Ask in a long computation, to
 * stop early.
 */
[[nodiscard]] constexpr detail::abort_requested_request abort_requested() noexcept
{
    return {};
}

/// `co_await this_task::yield()` lets the other tasks of the home executor take their turn.
/** The task goes to the end of its home's queue. An abort ends the task here. */
[[nodiscard]] constexpr detail::yield_request yield() noexcept
{
    return {};
}

/// `co_await this_task::sleep_until(t)` continues not before `t`. An abort ends the task here, at once.
[[nodiscard]] constexpr detail::sleep_request sleep_until(std::chrono::steady_clock::time_point t) noexcept
{
    return {t};
}

/// `co_await this_task::sleep_for(d)` continues not before `d` has passed. An abort ends the task here, at once.
/** A duration that is zero or negative suspends as `yield()` does; one too long for the clock never ends. */
template<class Rep, class Period>
[[nodiscard]] detail::sleep_request sleep_for(std::chrono::duration<Rep, Period> d) noexcept
{
    using clock = std::chrono::steady_clock;
    const clock::time_point now = clock::now();
    // Compared in floating point, where nothing overflows.
    const std::chrono::duration<double> room = clock::time_point::max() - now;
    if (std::chrono::duration<double>(d) >= room)
        return {clock::time_point::max()};
    if (d <= d.zero())
        return {now};
    return {now + std::chrono::ceil<clock::duration>(d)};
}

/// `co_await this_task::sleep_forever()` holds on to what the task has until it is aborted. It never continues.
[[nodiscard]] constexpr detail::sleep_forever_request sleep_forever() noexcept
{
    return {};
}

} // namespace joinery::this_task
