// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>

namespace joinery::this_task {

namespace detail {

struct id_request {};
struct abort_requested_request {};
struct yield_request {};
struct sleep_forever_request {};
struct stop_token_request {};
struct hold_abort_request {};

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

/// `co_await this_task::stop_token()` is a token that asks the task to come to an end by itself. It does not suspend.
/**
 * That is what a shutdown with a grace period does first, for all tasks of the set or map at once; an abort does not. A
 * `std::stop_callback` hears of it at once, on the thread that shuts down. @throws std::bad_alloc
 */
[[nodiscard]] constexpr detail::stop_token_request stop_token() noexcept
{
    return {};
}

/// `const auto hold = co_await this_task::hold_abort()` holds an abort back for as long as `hold` lives.
/**
 * For a section that must not be left half done, such as a commit or what cleans up: an abort that comes meanwhile
 * cancels no operation, and ends the task when it first waits after the last of its holds has gone. Holds may be nested;
 * an exception ends them as any local. Nothing holds back the end of the execution context. It does not suspend.
 *
 * The task counts as not ended meanwhile, for whoever waits for its end. `sleep_forever()` in such a section never ends.
 * Work that is no `task` (an `awaitable`, an operation) that is spawned itself follows its own rules.
 */
[[nodiscard]] constexpr detail::hold_abort_request hold_abort() noexcept
{
    return {};
}

} // namespace joinery::this_task
