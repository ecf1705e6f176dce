// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/detail/task_stack.hpp>

#include <atomic>
#include <cstdint>

namespace joinery::detail {

/// What who pushed has to do.
enum class pushed : std::uint8_t {
    queued, // nothing: the consumer will come
    wake,   // wake the consumer, which slept
    closed  // the queue took nothing
};

/// Tasks on their way to a serial home: any number of producers, one consumer, no lock.
/**
 * A stack of tasks, which the consumer takes whole and turns round. Below the stack stands what the consumer is
 * doing: it sleeps (`idle`), it is or soon will be awake (null), or it is gone for good (`closed`). So one atomic
 * exchange both pushes a task and tells whether the consumer must be woken, and a burst of pushes wakes it once.
 *
 * Tasks that an abort must reach travel in a stack of their own, because a task may be in both at once.
 *
 * Rejected: a queue of one exchange per push without a loop (Vyukov's). Its consumer can meet a gap that a stalled
 * producer has left, and has to come back later.
 */
class run_queue {
public:
    /// Adds a task. Any thread.
    pushed push(task_node& task) noexcept
    {
        task_node* top = top_.load(std::memory_order_acquire); // who finds it closed goes on after who closed it
        do {
            if (top == closed_mark())
                return pushed::closed;
            task.next_ = top == idle_mark() ? nullptr : top;
        } while (!top_.compare_exchange_weak(top, &task, std::memory_order_seq_cst, std::memory_order_acquire));
        return top == idle_mark() ? pushed::wake : pushed::queued;
    }

    /// Adds a task that is aborted. Any thread. The task must be in no other inbox.
    pushed push_aborted(task_node& task) noexcept
    {
        if (!aborted_.push(task))
            return pushed::closed;
        return rouse() ? pushed::wake : pushed::queued;
    }

    /// Claims the duty to wake the consumer. False if it is awake, or gone. Any thread.
    bool rouse() noexcept
    {
        task_node* expected = idle_mark();
        return top_.load(std::memory_order_seq_cst) == expected &&
               top_.compare_exchange_strong(expected, nullptr, std::memory_order_seq_cst);
    }

    /// Takes every task, in the order of pushing. The consumer, awake.
    task_list take() noexcept
    {
        task_node* const seen = top_.load(std::memory_order_relaxed);
        if (seen == nullptr || seen == closed_mark())
            return {};
        return task_list::reversed(top_.exchange(nullptr, std::memory_order_acquire));
    }

    /// Takes every aborted task. The consumer, awake.
    aborted_list take_aborted() noexcept
    {
        return aborted_.take();
    }

    /// Puts back aborted tasks for the next time that the consumer is awake. Wakes nobody.
    void put_back(aborted_list tasks) noexcept
    {
        while (!tasks.empty()) {
            task_node& task = tasks.pop_front();
            if (!aborted_.push(task))
                task.release();
        }
    }

    /// Puts the consumer to sleep, or leaves it to rest when closed. False if there is work, and it stays awake.
    bool sleep() noexcept
    {
        task_node* expected = nullptr;
        if (!top_.compare_exchange_strong(expected, idle_mark(), std::memory_order_seq_cst))
            return expected == closed_mark();
        // Who pushed an aborted task before this moment may have seen the consumer awake.
        if (aborted_.empty())
            return true;
        return !rouse();
    }

    /// Takes every task, and refuses all that come later. No consumer may be active.
    void close(task_list& tasks, aborted_list& aborted) noexcept
    {
        task_node* const top = top_.exchange(closed_mark(), std::memory_order_seq_cst);
        if (top != idle_mark() && top != closed_mark())
            tasks = task_list::reversed(top);
        aborted = aborted_.close();
    }

private:
    // Addresses that no task has.
    task_node* idle_mark() const noexcept
    {
        return reinterpret_cast<task_node*>(reinterpret_cast<std::uintptr_t>(&top_) | 1);
    }

    task_node* closed_mark() const noexcept
    {
        return reinterpret_cast<task_node*>(reinterpret_cast<std::uintptr_t>(&top_) | 2);
    }

    std::atomic<task_node*> top_{idle_mark()};
    task_stack<&task_node::next_aborted_> aborted_;
};

} // namespace joinery::detail
