// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await_timeout.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <chrono>
#include <utility>

namespace joinery {

namespace detail {

template<class V, class Duration>
task<V> run_with_timeout(Duration limit, task<V> work)
{
    timed_work<V> timed{std::move(work), this_task::sleep_for(limit).deadline};
    co_return co_await std::move(timed);
}

} // namespace detail

/// Makes a task of work that is aborted when it has not ended within a time.
/**
 * The time begins with the task. The work runs as a task of its own where this one runs. When the time has passed it is
 * aborted, and when it has ended, `task_cancelled` with the reason `timed_out` is thrown. If it ends with a value or an
 * exception in spite of that, as an `asio::awaitable` or an operation may, that counts.
 *
 * The task does not end before the work has ended, also when it is aborted itself, which aborts the work. So the work
 * may refer to what belongs to who awaits it.
 *
 * @param limit  one that is not positive has passed at once; one too long for the clock never passes
 * @param work   what `spawn` takes
 * @returns      a task of the work's value, which can be awaited or spawned
 * @throws       std::invalid_argument  if the work is a null function, or a task that was moved from
 * @throws       what moving the work, and allocating, throws
 */
template<class Rep, class Period, class Work>
task<detail::work_value<Work>> with_timeout(std::chrono::duration<Rep, Period> limit, Work&& work)
{
    using value_type = detail::work_value<Work>;
    return detail::run_with_timeout(limit, detail::make_task<value_type>(std::forward<Work>(work)));
}

} // namespace joinery
