// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/blocking_home.hpp>
#include <joinery/detail/shared_object.hpp>

#include <chrono>
#include <cstddef>

namespace joinery {

/// Threads for functions that block or compute for long, so that they hold up no task.
/**
 * A thread is started when a function comes and no thread is idle, up to a maximum; beyond it functions wait, in
 * order. A thread that has been idle for long enough ends.
 *
 * The destructor ends the functions that have not started as cancelled with `executor_gone`, asks those that run to
 * stop (a function that takes a `std::stop_token` can hear it), and waits for them.
 *
 * @par Thread Safety Distinct objects: safe. One object: safe, but for its destruction.
 */
class blocking_pool {
public:
    struct options {
        std::size_t max_threads = 512;
        std::chrono::nanoseconds keep_alive = std::chrono::seconds(10); ///< how long an idle thread waits for work
    };

    blocking_pool()
        : blocking_pool(options())
    {
    }

    /// @pre `limits.max_threads > 0`
    explicit blocking_pool(const options& limits)
        : home_(detail::shared_reference<detail::blocking_home>::adopt(
              new detail::blocking_home(limits.max_threads, limits.keep_alive)))
    {
    }

    ~blocking_pool()
    {
        home_->close();
    }

    blocking_pool(const blocking_pool&) = delete;
    blocking_pool& operator=(const blocking_pool&) = delete;

    /// The number of threads at this moment, idle ones included.
    std::size_t thread_count() const
    {
        return home_->thread_count();
    }

private:
    friend struct detail::blocking_pool_access;

    detail::shared_reference<detail::blocking_home> home_;
};

namespace detail {

struct blocking_pool_access {
    static blocking_home& home(blocking_pool& pool) noexcept
    {
        return *pool.home_;
    }
};

} // namespace detail

} // namespace joinery
