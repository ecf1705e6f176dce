// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

namespace bench {

/// What a subject without coroutines of its own returns where a workload awaits: a value that is there.
template<class T>
struct ready {
    T value;

    bool await_ready() const noexcept
    {
        return true;
    }

    void await_suspend(std::coroutine_handle<>) const noexcept
    {
    }

    T await_resume()
    {
        return std::move(value);
    }
};

/// A workload for a subject whose owner is an ordinary thread: nothing that it awaits suspends it, so it runs to its end
/// where it is run or awaited.
class blocking_owner {
public:
    struct promise_type {
        std::exception_ptr failure;

        blocking_owner get_return_object() noexcept
        {
            return blocking_owner(std::coroutine_handle<promise_type>::from_promise(*this));
        }

        std::suspend_always initial_suspend() const noexcept
        {
            return {};
        }

        std::suspend_always final_suspend() const noexcept
        {
            return {};
        }

        void return_void() const noexcept
        {
        }

        void unhandled_exception() noexcept
        {
            failure = std::current_exception();
        }
    };

    blocking_owner(blocking_owner&& other) noexcept
        : coroutine_(std::exchange(other.coroutine_, {}))
    {
    }

    ~blocking_owner()
    {
        if (coroutine_)
            coroutine_.destroy();
    }

    blocking_owner& operator=(blocking_owner&&) = delete;

    /// Rethrows what the workload threw.
    void run() const
    {
        coroutine_.resume();
        if (coroutine_.promise().failure)
            std::rethrow_exception(coroutine_.promise().failure);
    }

    bool await_ready() const
    {
        run();
        return true;
    }

    void await_suspend(std::coroutine_handle<>) const noexcept
    {
    }

    void await_resume() const noexcept
    {
    }

private:
    explicit blocking_owner(std::coroutine_handle<promise_type> coroutine) noexcept
        : coroutine_(coroutine)
    {
    }

    std::coroutine_handle<promise_type> coroutine_;
};

} // namespace bench
