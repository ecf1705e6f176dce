// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await_operation.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <coroutine>
#include <optional>
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
        waiter.promise().root().waiting_ = &suspension_;
    }

    void await_resume() const noexcept
    {
    }

private:
    yield_suspension suspension_;
};

/// Waits for an abort, or for the end of the home.
class forever_awaiter final : private parked_suspension {
public:
    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        prepare(waiter.promise().root(), waiter);
    }

    void await_resume() const noexcept
    {
    }
};

/// The wait of a timer that lives in the awaiter.
class timer_wait {
public:
    timer_wait(std::optional<boost::asio::steady_timer>& timer, std::chrono::steady_clock::time_point deadline) noexcept
        : timer_(&timer)
        , deadline_(deadline)
    {
    }

    template<class Handler>
    void operator()(Handler&& handler) &&
    {
        timer_->emplace(handler.get_executor(), deadline_);
        (*timer_)->async_wait(std::forward<Handler>(handler));
    }

private:
    std::optional<boost::asio::steady_timer>* timer_;
    std::chrono::steady_clock::time_point deadline_;
};

class sleep_awaiter : public operation_awaiter<timer_wait, void(boost::system::error_code)> {
public:
    explicit sleep_awaiter(std::chrono::steady_clock::time_point deadline)
        : operation_awaiter(timer_wait(timer_, deadline))
    {
    }

private:
    std::optional<boost::asio::steady_timer> timer_;
};

} // namespace joinery::detail
