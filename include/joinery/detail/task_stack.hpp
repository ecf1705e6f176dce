// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_node.hpp>

#include <atomic>
#include <cstdint>

namespace joinery::detail {

/// Tasks that any thread may push, and any thread may take, all at once: so nothing is ever taken twice.
/** Its operations are sequentially consistent: who pushes and then looks for a sleeper, and a sleeper who announces
 * itself and then looks for tasks, cannot miss each other. */
template<task_node* task_node::* Link = &task_node::next_>
class task_stack {
public:
    /// Adds a task. False if the stack is closed.
    bool push(task_node& task) noexcept
    {
        task_node* top = top_.load(std::memory_order_acquire); // who finds it closed goes on after who closed it
        do {
            if (top == closed_mark())
                return false;
            task.*Link = top;
        } while (!top_.compare_exchange_weak(top, &task, std::memory_order_seq_cst, std::memory_order_acquire));
        return true;
    }

    bool empty() const noexcept
    {
        task_node* const top = top_.load(std::memory_order_seq_cst);
        return top == nullptr || top == closed_mark();
    }

    /// Takes every task, in the order of pushing.
    basic_task_list<Link> take() noexcept
    {
        task_node* top = top_.load(std::memory_order_seq_cst);
        while (top != nullptr && top != closed_mark()) {
            if (top_.compare_exchange_weak(top, nullptr, std::memory_order_seq_cst))
                return basic_task_list<Link>::reversed(top);
        }
        return {};
    }

    /// Takes every task, and refuses all that come later.
    basic_task_list<Link> close() noexcept
    {
        task_node* const top = top_.exchange(closed_mark(), std::memory_order_seq_cst);
        if (top == closed_mark())
            return {};
        return basic_task_list<Link>::reversed(top);
    }

private:
    task_node* closed_mark() const noexcept // an address that no task has
    {
        return reinterpret_cast<task_node*>(reinterpret_cast<std::uintptr_t>(&top_) | 1);
    }

    std::atomic<task_node*> top_{nullptr};
};

} // namespace joinery::detail
