// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_node.hpp>

#include <utility>

namespace joinery::detail {

/// A first-in, first-out list of tasks, through the links in their nodes. Owns nothing.
template<task_node* task_node::* Link = &task_node::next_>
class basic_task_list {
public:
    basic_task_list() noexcept = default;

    basic_task_list(basic_task_list&& other) noexcept
        : first_(std::exchange(other.first_, nullptr))
        , last_(other.last_)
    {
    }

    basic_task_list& operator=(basic_task_list&& other) noexcept
    {
        first_ = std::exchange(other.first_, nullptr);
        last_ = other.last_;
        return *this;
    }

    /// The tasks of a stack, the one that was pushed first at the front.
    static basic_task_list reversed(task_node* stack) noexcept
    {
        basic_task_list list;
        list.last_ = stack;
        while (stack) {
            task_node* const below = std::exchange(stack->*Link, list.first_);
            list.first_ = std::exchange(stack, below);
        }
        return list;
    }

    bool empty() const noexcept
    {
        return first_ == nullptr;
    }

    void push_back(task_node& task) noexcept
    {
        task.*Link = nullptr;
        if (first_)
            last_->*Link = &task;
        else
            first_ = &task;
        last_ = &task;
    }

    void push_front(task_node& task) noexcept
    {
        if (!first_)
            last_ = &task;
        task.*Link = first_;
        first_ = &task;
    }

    /// The task that comes next; null if there is none.
    const task_node* front() const noexcept
    {
        return first_;
    }

    /// Brings in the task that comes next, while there is something else to do.
    void prefetch_front() const noexcept
    {
        prefetch(first_);
    }

    /// Brings in the one after it. @pre `!empty()`
    void prefetch_second() const noexcept
    {
        prefetch(first_->*Link);
    }

    /// @pre `!empty()`
    task_node& pop_front() noexcept
    {
        task_node& task = *first_;
        first_ = task.*Link;
        return task;
    }

    void append(basic_task_list&& other) noexcept
    {
        if (other.empty())
            return;
        if (first_)
            last_->*Link = other.first_;
        else
            first_ = other.first_;
        last_ = other.last_;
        other.first_ = nullptr;
    }

private:
    static void prefetch([[maybe_unused]] const task_node* task) noexcept
    {
#if defined(__GNUC__)
        if (task) {
            __builtin_prefetch(task, 1);
            __builtin_prefetch(task + 1, 1); // its frame
        }
#endif
    }

    task_node* first_ = nullptr;
    task_node* last_ = nullptr; // of a list that is not empty
};

using task_list = basic_task_list<>;
using aborted_list = basic_task_list<&task_node::next_aborted_>;

/// Ends tasks whose executor is gone, but for one that is someone else's.
inline void end_all(task_list tasks, const task_node* except = nullptr) noexcept
{
    while (!tasks.empty()) {
        task_node& task = tasks.pop_front();
        if (&task != except)
            task.end_executor_gone();
    }
}

/// Gives up the references with which aborted tasks travel.
inline void release_all(aborted_list aborted) noexcept
{
    while (!aborted.empty())
        aborted.pop_front().release();
}

} // namespace joinery::detail
