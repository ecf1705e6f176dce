// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/task_id.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace joinery {

/// What a task does at one moment.
enum class task_state : std::uint8_t {
    waiting,   ///< it has not started
    running,   ///< its coroutine, or its function, runs
    suspended, ///< its coroutine waits for something
    aborting,  ///< it was aborted, and has not ended
    held,      ///< it was aborted, and holds that back: see `this_task::hold_abort`
    finished,  ///< it has ended, and waits to be joined
};

constexpr std::string_view to_string(task_state state) noexcept
{
    constexpr std::string_view names[] = {"waiting", "running", "suspended", "aborting", "held", "finished"};
    return names[static_cast<std::size_t>(state)];
}

inline std::ostream& operator<<(std::ostream& out, task_state state)
{
    return out << to_string(state);
}

/// How a task ended.
enum class task_end : std::uint8_t { value, exception, cancelled };

/// What a set or map knows of its tasks, taken all at one moment. Counts begin with the observation.
struct task_counters {
    std::uint64_t spawned = 0;
    std::uint64_t finished = 0;                  ///< ended with a value
    std::uint64_t failed = 0;                    ///< … with an exception
    std::array<std::uint64_t, 5> cancelled = {}; ///< … as cancelled, by `cancel_reason`; replaced ones are among them
    std::size_t running = 0;                     ///< have started, or may at any moment, and have not ended
    std::size_t waiting = 0;                     ///< have not been let start

    std::uint64_t cancelled_as(cancel_reason reason) const noexcept
    {
        return cancelled[static_cast<std::size_t>(reason)];
    }
};

/// What is seen of one task.
struct task_sight {
    task_id id;
    std::string name; ///< as its `spawn_options` say
    task_state state = task_state::waiting;
    std::string_view waits_for;        ///< what a suspended task waits for, such as "a timer"
    std::chrono::nanoseconds age = {}; ///< since its spawn
    std::optional<std::chrono::nanoseconds> since_abort = {};
    std::source_location where; ///< of the spawn
};

/// How a set or map is to be observed.
struct observation {
    std::string name = {}; ///< of the set or map, for `task_tree`

    /// The task to which the set or map belongs, for `task_tree`: `co_await this_task::id()`, in a statement of its own.
    task_id parent = {};

    /// Called when a task starts, on the thread on which it does; and when one has ended, on the thread on which it did.
    /** They must not throw, nor use the set or map. */
    std::function<void(task_id)> on_start = {};
    std::function<void(task_id, task_end)> on_end = {};
};

} // namespace joinery
