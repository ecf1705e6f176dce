// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/join_error.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <manual_event.hpp>
#include <tracked.hpp>

#include <optional>
#include <utility>

namespace joinery::test {

// Work that many tests spawn.

inline task<int> give(int value)
{
    co_return value;
}

inline task<int> wait(manual_event& event, int value = 0)
{
    co_await event.async_wait();
    co_return value;
}

inline task<int> wait_forever()
{
    co_await this_task::sleep_forever();
    co_return 0;
}

/// Holds what it was given until it is aborted.
template<class T>
task<int> hold(T)
{
    co_await this_task::sleep_forever();
    co_return 0;
}

/// Why a task was cancelled; nothing if it was not.
template<class V>
std::optional<cancel_reason> cancelled_as(const join_result<V>& result)
{
    return result.has_error() && result.error().is_cancelled() ? std::optional(result.error().reason()) : std::nullopt;
}

} // namespace joinery::test
