// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <ostream>
#include <string_view>

namespace joinery {

/// Why a task ended without a value and without an exception of its own.
/**
 * The first reason that reaches a task is the one that it keeps.
 */
enum class cancel_reason : std::uint8_t {
    aborted,       ///< its owner, or someone with an `abort_handle`, asked for it
    timed_out,     ///< its deadline passed
    replaced,      ///< another task was spawned under its key; seen by who asks for that, see `spawn_options`
    shutdown,      ///< its set or map was shut down or destroyed
    executor_gone, ///< the execution context that it ran on was destroyed
};

/// The reason as a phrase that completes "the task was cancelled: ".
constexpr std::string_view to_string(cancel_reason reason) noexcept
{
    switch (reason) {
    case cancel_reason::aborted:
        return "abort requested";
    case cancel_reason::timed_out:
        return "deadline passed";
    case cancel_reason::replaced:
        return "replaced by a newer task under the same key";
    case cancel_reason::shutdown:
        return "its set or map was shut down";
    case cancel_reason::executor_gone:
        return "its execution context was destroyed";
    }
    return "unknown reason";
}

inline std::ostream& operator<<(std::ostream& out, cancel_reason reason)
{
    return out << to_string(reason);
}

} // namespace joinery
