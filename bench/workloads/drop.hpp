// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "spawn_pending.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace bench {

/// Held by a task: counts down when the task's coroutine is destroyed.
class presence {
public:
    explicit presence(std::atomic<std::size_t>& left) noexcept
        : left_(&left)
    {
    }

    presence(presence&& other) noexcept
        : left_(std::exchange(other.left_, nullptr))
    {
    }

    ~presence()
    {
        if (left_)
            left_->fetch_sub(1, std::memory_order_release);
    }

    presence& operator=(presence&&) = delete;

private:
    std::atomic<std::size_t>* left_;
};

/// Destroys a map of n waiting tasks, and waits until their coroutines are gone.
struct drop {
    static constexpr std::string_view name = "drop";

    template<can_wait Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        std::atomic<std::size_t> left = n;
        std::optional tasks(subject.template make_map<std::uint64_t>());
        for (std::uint64_t key = 0; key != n; ++key)
            tasks->spawn(key, Subject::pending_with(presence(left)));
        tasks->spawn(n, Subject::value(n));
        co_await tasks->async_join_next();
        measured.start();
        tasks.reset();
        while (left.load(std::memory_order_acquire) != 0) {
            if constexpr (Subject::workers == 1)
                co_await Subject::yield();
            else
                std::this_thread::yield();
        }
        measured.stop(n);
    }
};

} // namespace bench
