// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/child_task.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/timer_queue.hpp>
#include <joinery/task.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <utility>

namespace joinery::detail {

template<class V>
class timeout_awaiter;

/// Work that is awaited until a deadline at most, and aborted then.
template<class V>
struct timed_work {
    using awaiter_brought = timeout_awaiter<V>;

    task<V> work;
    timer_node::clock::time_point deadline;
};

/// Runs a child beside a timer of the home's. Over when the child has ended and the timer is at rest.
/**
 * Two are on their way from the start, and `pending_` counts them: the child, and the timer. The child stops the timer
 * when it ends; if the timer's time has come by then, it is told on some other thread, perhaps at this moment, and
 * looks at the child. So the last of the two continues the parent, and neither ever finds the other gone.
 */
template<class V>
class timeout_awaiter final : private cancellable_suspension, private timer_node, private child_task<V> {
    using child = child_task<V>;

public:
    explicit timeout_awaiter(timed_work<V>&& given) noexcept
        : timer_node(given.deadline)
        , work_(std::move(given.work))
    {
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        parent_ = &waiter.promise().root();
        prepare(*parent_, waiter, wait_kind::limit);
    }

    V await_resume()
    {
        if (failure_)
            std::rethrow_exception(std::move(failure_));
        return std::move(this->take()).value();
    }

private:
    void initiate(task_node& parent) noexcept override
    {
        child::spawn(parent.where().for_children(), std::move(work_), &parent);
        try {
            is_timed_ = parent.where().start_timer(*this);
            if (is_timed_)
                return child::begin();
            lost = true;
        } catch (...) {
            failure_ = std::current_exception();
        }
        pending_.store(1, std::memory_order_relaxed);
        child::discard();
    }

    void request_end(task_node& parent) noexcept override
    {
        child::abort(parent.reason());
    }

    void child_ended() noexcept override
    {
        const bool at_rest = is_timed_ && parent_->where().stop_timer(*this);
        if (is_last(at_rest ? 2 : 1))
            operation_over(*parent_);
    }

    void expired() noexcept override
    {
        timer_told(cancel_reason::timed_out);
    }

    void abandoned() noexcept override
    {
        timer_told(cancel_reason::executor_gone);
    }

    void timer_told(cancel_reason reason) noexcept
    {
        child::abort(reason);
        if (is_last(1))
            parent_due();
    }

    /// Has the parent take its step when its turn comes. Not at once: the timers are told from here.
    void parent_due() noexcept
    {
        try {
            parent_->where().schedule(*parent_);
        } catch (...) {
            parent_->end_executor_gone();
        }
    }

    /// Whether nobody is on the way any more. If somebody is, this may be gone when it returns.
    bool is_last(int count) noexcept
    {
        return pending_.fetch_sub(count, std::memory_order_acq_rel) == count;
    }

    task<V> work_;
    task_node* parent_ = nullptr;
    std::exception_ptr failure_;
    bool is_timed_ = false; // before the child begins
    std::atomic<int> pending_{2};
};

} // namespace joinery::detail
