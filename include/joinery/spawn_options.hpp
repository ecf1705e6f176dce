// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <ostream>
#include <source_location>
#include <string_view>

namespace joinery {

/// What to do when work is spawned under a key that is in use.
enum class on_conflict : std::uint8_t {
    replace,            ///< abort the old task, and start the new one beside it as it ends
    keep,               ///< drop the new work, unstarted; also when the old task has ended, until it is joined
    replace_after_exit, ///< abort the old task, and start the new one when the old one has ended: never both at once
    queue_latest,       ///< let the old task finish, then run the newest of what was spawned meanwhile
};

/// What became of work that was spawned.
enum class spawn_outcome : std::uint8_t {
    started,  ///< it was sent on its way
    replaced, ///< so it was, and a task that was there is replaced
    queued,   ///< it waits: for an older task to end, for its delay to pass, or for room. It may have replaced another
    kept,     ///< it was dropped, and the task that was there goes on
};

inline std::ostream& operator<<(std::ostream& out, spawn_outcome outcome)
{
    constexpr const char* names[] = {"started", "replaced", "queued", "kept"};
    return out << names[static_cast<std::size_t>(outcome)];
}

/// What a spawn with options returns.
struct spawned {
    abort_handle handle; ///< to the new task; to the one that was there, if that was kept
    spawn_outcome outcome = spawn_outcome::started;
};

// Trivial to destroy, because GCC 12 destroys some temporaries of a co_await expression twice.

/// How one piece of work is to be spawned. All of it applies from the spawn on, before the task has started, too.
struct spawn_options {
    /// For a key in use; without one, the set or map decides: see `join_map::set_conflict_policy`.
    std::optional<on_conflict> conflict = {};

    /// How long the task waits at least before it starts. With replacement, that is debouncing.
    std::chrono::nanoseconds delay = {};

    /// When the task is aborted, as `cancel_reason::timed_out`, if it has not ended by then.
    std::optional<std::chrono::steady_clock::time_point> deadline = {};

    /// Whether a task that is replaced stays to be joined: as cancelled with `replaced`, or, if it had finished, with its value.
    bool join_replaced = false;

    /// What the task is called where it is seen: see `join_map::snapshot`. The spawn copies it.
    std::string_view name = {};

    /// Where it was spawned, for the same.
    std::source_location where = std::source_location::current();
};

/// How many tasks of a set or map there may be.
struct task_limits {
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    /// That have started, or may at any moment; the others wait, in order. With zero, all wait.
    std::size_t running = none;

    /// That are not let start yet, for whatever reason. When there are so many, a spawn that would have to wait is refused.
    std::size_t waiting = none;
};

} // namespace joinery
