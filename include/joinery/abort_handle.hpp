// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/task_id.hpp>

#include <utility>

namespace joinery {

namespace detail {
struct abort_handle_access;
}

/// Refers to a spawned task: to abort it, or to ask whether it has ended.
/**
 * It may outlive the task, the set or map, and the executor. It keeps the task's block of memory, but neither its
 * coroutine nor its result.
 *
 * @par Thread Safety Distinct objects: safe, also when they refer to one task. One object: safe for `const` members.
 */
class abort_handle {
public:
    /// Refers to no task.
    abort_handle() noexcept = default;

    abort_handle(const abort_handle& other) noexcept
        : task_(other.task_)
    {
        if (task_)
            task_->retain();
    }

    abort_handle(abort_handle&& other) noexcept
        : task_(std::exchange(other.task_, nullptr))
    {
    }

    abort_handle& operator=(abort_handle other) noexcept
    {
        std::swap(task_, other.task_);
        return *this;
    }

    ~abort_handle()
    {
        if (task_)
            task_->release();
    }

    /// Asks the task to end without a value. Does not wait for it.
    /**
     * A task that has not started is never entered. One that waits has its operation cancelled, and is destroyed when
     * that has ended; one that runs ends at its next `co_await` of something asynchronous. Once asked, a task stays
     * asked; to ask again changes nothing. A task that has finished keeps its result.
     *
     * @returns whether there was a task to tell: one that had not finished
     */
    bool abort() const noexcept
    {
        return task_ && task_->abort(cancel_reason::aborted);
    }

    /// Whether the task has ended: its coroutine is destroyed. Its result can be joined then, or within a moment.
    bool is_finished() const noexcept
    {
        return !task_ || task_->is_finished();
    }

    /// The id of the task, or an id that names none.
    task_id id() const noexcept
    {
        return task_ ? task_->id() : task_id();
    }

    /// Whether it refers to a task.
    explicit operator bool() const noexcept
    {
        return task_ != nullptr;
    }

private:
    friend detail::abort_handle_access;

    detail::task_node* task_ = nullptr;
};

namespace detail {

struct abort_handle_access {
    /// Drops a handle to a task that was never spawned, and has no references to give up.
    static void forget(abort_handle& handle) noexcept
    {
        handle.task_ = nullptr;
    }

    static task_node& task(const abort_handle& handle) noexcept
    {
        return *handle.task_;
    }

    static abort_handle make(task_node& task) noexcept
    {
        task.retain();
        return adopt(task);
    }

    /// Takes over a reference.
    static abort_handle adopt(task_node& task) noexcept
    {
        abort_handle handle;
        handle.task_ = &task;
        return handle;
    }
};

} // namespace detail

} // namespace joinery
