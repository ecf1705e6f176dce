// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/awaitable_runner.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

namespace joinery::detail {

template<class T>
inline constexpr bool is_awaitable = false;

template<class T, class Executor>
inline constexpr bool is_awaitable<boost::asio::awaitable<T, Executor>> = true;

/// Awaits an `asio::awaitable`, which runs on the executor of the task's home.
template<class T, class Executor>
class awaitable_awaiter final : private awaitable_job<T, Executor>,
                                private cancellable_suspension,
                                private parked_link {
    using job = awaitable_job<T, Executor>;

public:
    explicit awaitable_awaiter(boost::asio::awaitable<T, Executor>&& given) noexcept
        : job(std::move(given))
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
        prepare(*task_, waiter, wait_kind::awaitable);
    }

    T await_resume()
    {
        if (is_parked())
            unpark();
        if (job::failure)
            std::rethrow_exception(std::move(job::failure));
        if constexpr (!std::is_void_v<T>)
            return std::move(*job::value);
    }

private:
    void initiate(task_node& task) noexcept override
    {
        task.where().operation_began();
        park(task.where().operations_);
        try {
            awaitable_runner<T, Executor>::start(task.where(), *this);
        } catch (...) {
            // The runner, if there was one, has gone with the exception, and said that the awaitable was lost.
            job::failure = std::current_exception();
            if (!cancellable_suspension::lost)
                task.where().operation_ended();
            cancellable_suspension::lost = false;
            task.step_.ended = true;
        }
    }

    void request_end(task_node&) noexcept override
    {
        if (!over_.load(std::memory_order_acquire))
            job::signal->emit(boost::asio::cancellation_type::terminal);
    }

    void home_gone() noexcept override
    {
        receive_end_of_home(*task_);
    }

    void ended() noexcept override
    {
        over_.store(true, std::memory_order_release);
        // An awaitable that obeys an abort need not throw that through the task, which ends in any case.
        if (job::was_cancelled && task_->abort_requested())
            task_->step_.foreign = false;
        task_->where().operation_ended();
        operation_over(*task_);
    }

    void lost() noexcept override
    {
        cancellable_suspension::lost = true;
        over_.store(true, std::memory_order_release);
        // The task may end at once, and with it what kept its home.
        const shared_reference<home> where(task_->where());
        operation_over(*task_);
        where->operation_ended();
    }

    task_node* task_ = nullptr;
    std::atomic<bool> over_{false};
};

} // namespace joinery::detail
