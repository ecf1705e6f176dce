// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>

namespace joinery {

namespace detail {

class task_node;

/// The next number for a task: unique in the process, and never zero.
/**
 * Threads take numbers in blocks, so that two threads that spawn do not share a cache line. Numbers
 * of one thread ascend; across threads they say nothing about time. At a thousand million tasks a
 * second they last for five centuries.
 */
inline std::uint64_t next_task_number() noexcept
{
    constexpr std::uint64_t block = 1u << 16;
    static constinit std::atomic<std::uint64_t> next_block{1};
    static constinit thread_local std::uint64_t next = 0;
    static constinit thread_local std::uint64_t end = 0;
    if (next == end) {
        next = next_block.fetch_add(block, std::memory_order_relaxed);
        end = next + block;
    }
    return next++;
}

} // namespace detail

/// Names one task, for as long as the process lives: no two tasks ever have the same id.
/**
 * A regular type: copyable, ordered, hashable, streamable. A default-constructed id names no task.
 * The order is arbitrary but total; among tasks that one thread spawned it is the order of spawning.
 */
class task_id {
public:
    constexpr task_id() noexcept = default;

    /// The number of the task; zero names none.
    constexpr std::uint64_t value() const noexcept
    {
        return number_;
    }

    friend constexpr bool operator==(task_id a, task_id b) noexcept
    {
        return a.number_ == b.number_;
    }

    friend constexpr std::strong_ordering operator<=>(task_id a, task_id b) noexcept
    {
        return a.number_ <=> b.number_;
    }

    friend std::ostream& operator<<(std::ostream& out, task_id id)
    {
        return out << id.number_;
    }

private:
    friend class detail::task_node;

    constexpr task_id(std::uint64_t number, std::uint32_t slot) noexcept
        : number_(number)
        , slot_(slot)
    {
    }

    std::uint64_t number_ = 0;
    std::uint32_t slot_ = 0; // where its task stands in the index, so that an id is found without a map of ids
};

} // namespace joinery

template<>
struct std::hash<joinery::task_id> {
    std::size_t operator()(joinery::task_id id) const noexcept
    {
        return std::hash<std::uint64_t>()(id.value());
    }
};
