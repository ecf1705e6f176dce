// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await.hpp>
#include <joinery/detail/await_this_task.hpp>
#include <joinery/detail/task_promise.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/this_coro.hpp>

#include <concepts>
#include <coroutine>
#include <utility>

namespace joinery {

/// A computation of a `V`, written as a coroutine, that does not begin before it is spawned or awaited.
/**
 * `V` is `void` or a type that can be moved; it need be neither copyable nor default-constructible.
 *
 * A task is run by handing it to `spawn` of a `join_set` or `join_map`, to `block_on`, or by awaiting it in
 * another task with `co_await std::move(t)`. Inside its coroutine, `co_await` takes
 *
 * - another task, as an rvalue: it runs as a part of this one;
 * - an Asio operation, such as `timer.async_wait(asio::deferred)`: yields what its completion signature
 *   has behind a leading `error_code` or `exception_ptr`, which is thrown; with `asio::as_tuple(asio::deferred)`
 *   all of it as a tuple;
 * - an `asio::awaitable`: it runs on the task's home executor;
 * - a function without parameters: what it returns is awaited if it can be, and the function lives until then;
 * - `asio::this_coro::executor`, and what `joinery::this_task` offers.
 *
 * All of the coroutine runs on one executor, its home, one step after another, with no strand from the user.
 *
 * **Abort.** A task that is aborted while it waits has its operation cancelled, and when the operation has ended,
 * its coroutine is destroyed: destructors run, innermost first, and nothing is thrown into it. One that runs goes
 * on to its next `co_await` of something asynchronous.
 *
 * A `V` may be aligned more strictly than `std::max_align_t` in tasks that are spawned. Compilers do not align coroutine
 * frames to more than that by themselves; so such a task may be awaited only by one whose own value is aligned as strictly.
 *
 * @par Thread Safety Distinct tasks: safe. One task object: unsafe.
 */
template<class V = void>
class [[nodiscard]] task {
    static_assert(detail::task_value<V>,
                  "joinery: the value of a task is void, or an object type that can be moved and destroyed");

public:
    using value_type = V;
    using promise_type = detail::task_promise<V>;

    /// No task. It can only be assigned to and destroyed.
    task() noexcept = default;

    task(task&& other) noexcept
        : coroutine_(std::exchange(other.coroutine_, {}))
    {
    }

    task& operator=(task other) noexcept
    {
        std::swap(coroutine_, other.coroutine_);
        return *this;
    }

    /// Destroys the coroutine, which has not begun.
    ~task()
    {
        if (coroutine_)
            coroutine_.destroy();
    }

    /// Whether there is a task: not after a move, a spawn or an await.
    explicit operator bool() const noexcept
    {
        return static_cast<bool>(coroutine_);
    }

private:
    friend promise_type;
    friend detail::task_access;

    explicit task(std::coroutine_handle<promise_type> coroutine) noexcept
        : coroutine_(coroutine)
    {
    }

    std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

/// What a task's coroutine may await.
template<class V>
class task_promise_awaits : public task_promise_base<task_promise<V>, V> {
public:
    template<class Work>
    auto await_transform(Work&& work)
    {
        return await(std::forward<Work>(work));
    }

    template<class Work>
    auto await_transform(foreign_work<Work>&& foreign)
    {
        this->root().step_.foreign = true;
        return await(std::move(foreign.work));
    }

    auto await_transform(boost::asio::this_coro::executor_t)
    {
        return ready_awaiter(this->root().where().executor());
    }

    auto await_transform(this_task::detail::id_request) noexcept
    {
        return ready_awaiter(this->root().id());
    }

    auto await_transform(this_task::detail::abort_requested_request) noexcept
    {
        return ready_awaiter(this->root().abort_requested());
    }

    auto await_transform(this_task::detail::stop_token_request)
    {
        return ready_awaiter(this->root().sink().stop_token());
    }

    auto await_transform(this_task::detail::hold_abort_request) noexcept
    {
        return ready_awaiter(abort_hold(this->root()));
    }

    auto await_transform(this_task::detail::yield_request) noexcept
    {
        return yield_awaiter();
    }

    auto await_transform(this_task::detail::sleep_forever_request) noexcept
    {
        return forever_awaiter();
    }

    auto await_transform(this_task::detail::sleep_request request) noexcept
    {
        return sleep_awaiter(request.deadline);
    }
};

template<class V>
class task_promise : public task_promise_awaits<V> {
public:
    task<V> get_return_object() noexcept
    {
        return task<V>(std::coroutine_handle<task_promise>::from_promise(*this));
    }

    template<class U = V>
        requires std::convertible_to<U, V>
    void return_value(U&& value)
    {
        this->deliver(std::forward<U>(value));
    }
};

template<>
class task_promise<void> : public task_promise_awaits<void> {
public:
    inline task<void> get_return_object() noexcept;

    void return_void()
    {
        this->deliver();
    }
};

inline task<void> task_promise<void>::get_return_object() noexcept
{
    return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

} // namespace detail

} // namespace joinery
