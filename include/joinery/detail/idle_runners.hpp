// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace joinery::detail {

/// A coroutine of Asio that waits for an `asio::awaitable` to run. See `awaitable_runner`.
class idle_runner {
public:
    idle_runner(const idle_runner&) = delete;
    idle_runner& operator=(const idle_runner&) = delete;

protected:
    idle_runner() noexcept = default;
    ~idle_runner() = default;

private:
    friend class idle_runners;

    /// Destroys the coroutine, and with it this object.
    virtual void discard() noexcept = 0;

    idle_runner* next_ = nullptr;
};

/// The runners of one loop that have nothing to do. Only for the loop's thread, and at its end.
/**
 * Runners of one kind, which can take each other's place, are kept together. A program has few kinds, so they are looked
 * for one after the other.
 */
class idle_runners {
public:
    idle_runners() noexcept = default;
    idle_runners(const idle_runners&) = delete;
    idle_runners& operator=(const idle_runners&) = delete;

    ~idle_runners()
    {
        close();
    }

    /// Takes out a runner of a kind; null if there is none.
    idle_runner* take(const void* kind) noexcept
    {
        for (shelf& each : shelves_) {
            if (each.kind == kind && each.first) {
                --kept_;
                return std::exchange(each.first, each.first->next_);
            }
        }
        return nullptr;
    }

    /// Makes sure that `put` can take a runner of a kind. False if there are enough, or none are wanted any more.
    bool make_room(const void* kind) noexcept
    {
        if (kept_ == most_kept || closed_)
            return false;
        for (const shelf& each : shelves_) {
            if (each.kind == kind)
                return true;
        }
        try {
            shelves_.push_back({kind, nullptr});
            return true;
        } catch (...) {
            return false;
        }
    }

    /// @pre `make_room(kind)` was true
    void put(const void* kind, idle_runner& runner) noexcept
    {
        for (shelf& each : shelves_) {
            if (each.kind == kind) {
                runner.next_ = std::exchange(each.first, &runner);
                ++kept_;
                return;
            }
        }
    }

    /// Discards the runners, and takes no more.
    void close() noexcept
    {
        closed_ = true;
        for (shelf& each : shelves_) {
            while (each.first)
                std::exchange(each.first, each.first->next_)->discard();
        }
        kept_ = 0;
    }

private:
    static constexpr std::size_t most_kept = 1024; // about a megabyte

    struct shelf {
        const void* kind;
        idle_runner* first;
    };

    std::vector<shelf> shelves_;
    std::size_t kept_ = 0;
    bool closed_ = false;
};

} // namespace joinery::detail
