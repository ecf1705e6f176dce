// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_node.hpp>

#include <atomic>
#include <cstdint>

namespace joinery::detail {

/// Tasks that have ended, on their way to who joins them: any number of producers, one consumer, no lock.
/**
 * The same stack as a `run_queue`'s, but with nobody to wake as a rule: only when a join waits, the consumer
 * leaves a mark below the stack (`armed`), and the first task that ends takes the mark away and wakes it.
 */
class completion_queue {
public:
    enum class pushed : std::uint8_t { queued, wake, closed };

    /// Adds a task that has ended. Any thread. From then on the task is the consumer's.
    /** Calls `before_wake` before it pushes a task whose push will answer `wake`, perhaps in vain. */
    template<class F>
    pushed push(task_node& task, F&& before_wake) noexcept
    {
        task_node* top = top_.load(std::memory_order_acquire); // who finds it closed goes on after who closed it
        do {
            if (top == closed_mark())
                return pushed::closed;
            if (top == armed_mark())
                before_wake();
            task.next_ = top == armed_mark() ? nullptr : top;
        } while (!top_.compare_exchange_weak(top, &task, std::memory_order_acq_rel, std::memory_order_acquire));
        return top == armed_mark() ? pushed::wake : pushed::queued;
    }

    /// Adds a task, if nobody is to be woken for it. Any thread. From then on the task is the consumer's.
    bool push_unnoticed(task_node& task) noexcept
    {
        task_node* top = top_.load(std::memory_order_acquire);
        do {
            if (is_mark(top))
                return false;
            task.next_ = top;
        } while (!top_.compare_exchange_weak(top, &task, std::memory_order_acq_rel, std::memory_order_acquire));
        return true;
    }

    /// Whether there is nothing to take, not even the mark. The consumer.
    bool is_empty() const noexcept
    {
        task_node* const top = top_.load(std::memory_order_relaxed);
        return top == nullptr || top == closed_mark();
    }

    /// Takes every task, linked in the reverse of the order in which they ended. Takes the mark away, too. The consumer.
    task_node* take_stack() noexcept
    {
        if (is_empty())
            return nullptr;
        task_node* const top = top_.exchange(nullptr, std::memory_order_acquire);
        return top == armed_mark() ? nullptr : top;
    }

    /// Asks to be woken by the next task. False if there is one already. The consumer.
    bool arm() noexcept
    {
        task_node* expected = nullptr;
        return top_.compare_exchange_strong(expected, armed_mark(), std::memory_order_acq_rel) ||
               expected == armed_mark();
    }

    /// Takes every task, and refuses all that come later. The consumer.
    task_list close() noexcept
    {
        task_node* const top = top_.exchange(closed_mark(), std::memory_order_acq_rel);
        if (top == armed_mark() || top == closed_mark())
            return {};
        return task_list::reversed(top);
    }

private:
    task_node* armed_mark() const noexcept
    {
        return reinterpret_cast<task_node*>(reinterpret_cast<std::uintptr_t>(&top_) | 1);
    }

    task_node* closed_mark() const noexcept
    {
        return reinterpret_cast<task_node*>(reinterpret_cast<std::uintptr_t>(&top_) | 2);
    }

    static bool is_mark(const task_node* task) noexcept
    {
        return (reinterpret_cast<std::uintptr_t>(task) & 3) != 0;
    }

    std::atomic<task_node*> top_{nullptr};
};

} // namespace joinery::detail
