// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/step.hpp>
#include <joinery/detail/timer_queue.hpp>
#include <joinery/this_task.hpp>

#include <boost/assert.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <utility>

namespace joinery::detail {

/// Yields a value that is known at once.
template<class T>
class ready_awaiter {
public:
    explicit ready_awaiter(T value) noexcept
        : value_(std::move(value))
    {
    }

    bool await_ready() const noexcept
    {
        return true;
    }

    void await_suspend(std::coroutine_handle<>) const noexcept
    {
    }

    T await_resume() noexcept
    {
        return std::move(value_);
    }

private:
    T value_;
};

class yield_awaiter {
public:
    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) noexcept
    {
        suspension_.coroutine = waiter;
        task_node& task = waiter.promise().root();
        task.waits_for_ = wait_kind::turn;
        task.waiting_ = &suspension_;
    }

    void await_resume() const noexcept
    {
    }

private:
    yield_suspension suspension_;
};

/// Waits for an abort, or for the end of the home.
class forever_awaiter {
public:
    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept
    {
        task_node& task = waiter.promise().root();
        task.waits_for_ = wait_kind::abort;
        task.waiting_ = &endless_sleep::instance();
    }

    void await_resume() const noexcept
    {
    }
};

/// A section that an abort of the task does not end. In the task's serial order.
class abort_hold {
public:
    explicit abort_hold(task_node& task) noexcept
        : task_(&task)
    {
        BOOST_ASSERT(task.holds_ != 0xff);
        task.holds_ = static_cast<std::uint8_t>(task.holds_ + 1);
    }

    abort_hold(abort_hold&& other) noexcept
        : task_(std::exchange(other.task_, nullptr))
    {
    }

    abort_hold& operator=(abort_hold&&) = delete;

    ~abort_hold()
    {
        if (task_)
            task_->holds_ = static_cast<std::uint8_t>(task_->holds_ - 1);
    }

private:
    task_node* task_;
};

/// Waits for a point in time, among the timers of the home.
class sleep_awaiter final : private cancellable_suspension, private timer_node {
public:
    explicit sleep_awaiter(clock::time_point deadline) noexcept
        : timer_node(deadline)
    {
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        task_ = &waiter.promise().root();
        prepare(*task_, waiter, wait_kind::timer);
    }

    void await_resume()
    {
        if (failure_)
            std::rethrow_exception(std::move(failure_));
    }

private:
    void initiate(task_node& task) noexcept override
    {
        try {
            if (task.where().start_timer(*this))
                return;
            lost = true;
        } catch (...) {
            failure_ = std::current_exception();
        }
        task.step_.ended = true;
    }

    void request_end(task_node& task) noexcept override
    {
        if (task.where().stop_timer(*this))
            task.step_.ended = true; // else it is scheduled, or is about to be
    }

    void expired() noexcept override
    {
        schedule();
    }

    void abandoned() noexcept override
    {
        lost = true;
        schedule();
    }

    /// Has the task take its step when its turn comes. Not at once: this may be another thread than its home's.
    void schedule() noexcept
    {
        try {
            task_->where().schedule(*task_);
        } catch (...) {
            task_->end_executor_gone();
        }
    }

    task_node* task_ = nullptr;
    std::exception_ptr failure_;
};

} // namespace joinery::detail
