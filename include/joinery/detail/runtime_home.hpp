// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/asio_home.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/worker.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

namespace joinery::detail {

/// The home of the tasks of a runtime that have not started, and its workers.
class runtime_home final : public shared_object, public home {
public:
    explicit runtime_home(std::size_t workers)
        : home(static_cast<shared_object&>(*this))
    {
        for (std::size_t i = 0; i != workers; ++i)
            workers_.emplace_back(*this, static_cast<shared_object&>(*this));
    }

    // -- home --------------------------------------------------------------------------------------------

    void schedule(task_node& task) override
    {
        worker& target = nearest();
        if (!target.bring(task))
            return task.end_executor_gone();
        wake_for(target);
    }

    void deliver_abort(task_node&) noexcept override
    {
        // A task that has not started is found aborted when its turn comes.
    }

    bool inside() const noexcept override
    {
        return false;
    }

    boost::asio::any_io_executor executor() const override
    {
        return {}; // a task has none before it starts
    }

    // -- the workers -------------------------------------------------------------------------------------

    std::deque<worker>& workers() noexcept
    {
        return workers_;
    }

    /// The worker that runs on this thread, or else one after the other.
    worker& nearest() noexcept
    {
        worker* const here = worker::current();
        if (here && &here->all() == this)
            return *here;
        return workers_[next_.fetch_add(1, std::memory_order_relaxed) / run_length % workers_.size()];
    }

    /// Sees to it that someone comes for a task that was brought to a worker: the worker, or else one that sleeps.
    void wake_for(worker& target) noexcept
    {
        if (sleepers_.load(std::memory_order_seq_cst) == 0 || target.wake_sleeper())
            return;
        for (worker& each : workers_) {
            if (each.wake_sleeper())
                return;
        }
    }

    /// Takes tasks that have not started from the others. Empty if there are none.
    task_list steal_for(const worker& thief) noexcept
    {
        std::size_t first = 0;
        while (&workers_[first] != &thief)
            ++first;
        for (std::size_t i = 1; i != workers_.size(); ++i) {
            worker& victim = workers_[(first + i) % workers_.size()];
            if (victim.has_startable()) {
                if (task_list tasks = victim.give_half(); !tasks.empty())
                    return tasks;
            }
        }
        return {};
    }

    bool any_startable() const noexcept
    {
        for (const worker& each : workers_) {
            if (each.has_startable())
                return true;
        }
        return false;
    }

    void count_sleeper(int change) noexcept
    {
        sleepers_.fetch_add(change, std::memory_order_seq_cst);
    }

    bool is_stopping() const noexcept
    {
        return stopping_.load(std::memory_order_seq_cst);
    }

    // -- beginning and end -------------------------------------------------------------------------------

    void start_threads()
    {
        try {
            for (worker& each : workers_)
                threads_.emplace_back([&each] { each.run(); });
        } catch (...) {
            stop();
            destroy_contexts();
            throw;
        }
    }

    /// Stops the threads, and ends every task. What is destroyed may belong to any worker, so all contexts still
    /// stand.
    void stop() noexcept
    {
        stopping_.store(true, std::memory_order_seq_cst);
        for (worker& each : workers_)
            each.wake();
        for (std::thread& each : threads_)
            each.join();
        threads_.clear();
        for (worker& each : workers_)
            each.close();
        for (worker& each : workers_)
            each.shut_context_down();
    }

    void destroy_contexts() noexcept
    {
        for (worker& each : workers_)
            each.destroy_context();
    }

private:
    // Tasks from outside go to one worker for a while, so that a burst wakes and fills one after the other.
    static constexpr std::size_t run_length = 32;

    std::deque<worker> workers_;
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> next_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stopping_{false};
};

inline void worker::run() noexcept
{
    current_ = this;
    queue_.rouse(); // awake
    while (!all_.is_stopping()) {
        const bool moved = take_turn();
        if (poll_context() || moved)
            continue;
        if (task_list stolen = all_.steal_for(*this); !stolen.empty()) {
            keep(std::move(stolen)); // and with the first that starts, another worker is woken for the rest
            continue;
        }
        sleep();
    }
    current_ = nullptr;
}

/// Lets tasks take a step, but not for ever. Whether any did.
inline bool worker::take_turn() noexcept
{
    bool moved = false;
    ready_.append(queue_.take());
    for (int steps = 0; steps != steps_per_turn; ++steps) {
        aborted_list aborted = queue_.take_aborted();
        while (!aborted.empty()) {
            task_node& task = aborted.pop_front();
            receive_abort(task);
            task.release();
            moved = true;
        }
        if (ready_.empty())
            ready_ = queue_.take();
        // Tasks that go round and round must not keep others from starting.
        const bool start_first = steps % 8 == 0;
        if (start_first && start_one()) {
            moved = true;
        } else if (!ready_.empty()) {
            step(ready_.pop_front());
            moved = true;
        } else if (start_one()) {
            moved = true;
        } else {
            break;
        }
    }
    return moved;
}

inline bool worker::start_one() noexcept
{
    task_node* const task = take_startable();
    if (!task)
        return false;
    if (has_startable())
        all_.wake_for(*this);
    task->move_within(*this);
    step(*task);
    return true;
}

/// Lets the handlers of the `io_context` run that can. Whether any did.
inline bool worker::poll_context() noexcept
{
    clear_wake();
    in_context_ = true;
    const std::size_t handlers = context_->poll();
    in_context_ = false;
    return handlers != 0;
}

inline void worker::sleep() noexcept
{
    asleep_.store(true, std::memory_order_seq_cst);
    all_.count_sleeper(1);
    if (queue_.sleep()) {
        if (ready_.empty() && !all_.any_startable() && !all_.is_stopping()) {
            in_context_ = true;
            context_->run_one();
            in_context_ = false;
            clear_wake();
        }
        queue_.rouse();
    }
    asleep_.store(false, std::memory_order_seq_cst);
    all_.count_sleeper(-1);
}

} // namespace joinery::detail
