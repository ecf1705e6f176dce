// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/own_home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/worker.hpp>

#include <boost/asio/execution_context.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

namespace joinery::detail {

/// The home of the tasks of a runtime that have not started, and its workers.
class runtime_home final : public shared_object, public own_home {
public:
    runtime_home(std::size_t workers, boost::asio::execution_context& runtime)
        : own_home(static_cast<shared_object&>(*this))
        , runtime_(runtime)
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

    // -- own_home ----------------------------------------------------------------------------------------

    bool runs_here() const noexcept override
    {
        return false; // a task that is spawned here, and a function, may run on any worker
    }

    open_context context_for_post() override
    {
        open_context open = nearest().context_for_post();
        open.before = [] { worker::current()->be_busy(); };
        return open;
    }

    boost::asio::execution_context& context() noexcept override
    {
        return runtime_;
    }

    boost::asio::any_io_executor timer_executor() override
    {
        return workers_.front().executor(); // the runtime itself has no reactor
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
            if (!victim.has_startable())
                continue;
            task_list tasks = victim.give_half();
            if (victim.has_startable())
                wake_for(victim);
            if (!tasks.empty())
                return tasks;
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

    boost::asio::execution_context& runtime_;
    std::deque<worker> workers_;
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> next_{0};
    std::atomic<int> sleepers_{0};
    std::atomic<bool> stopping_{false};
};

inline void worker::run() noexcept
{
    running_ = this;
    enter();
    while (!all_.is_stopping()) {
        const bool moved = take_turn([this]() noexcept { return start_one(); });
        if (!poll_context() && !moved && !steal())
            sleep();
    }
    leave(nullptr);
    running_ = nullptr;
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

inline bool worker::steal() noexcept
{
    task_list stolen = all_.steal_for(*this);
    if (stolen.empty())
        return false;
    const std::lock_guard lock(startable_mutex_);
    std::size_t count = startable_count_.load(std::memory_order_relaxed);
    for (; !stolen.empty(); ++count)
        startable_.push_back(stolen.pop_front());
    startable_count_.store(count, std::memory_order_seq_cst);
    return true; // with the first that starts, another worker is woken for the rest
}

inline void worker::sleep() noexcept
{
    asleep_.store(true, std::memory_order_seq_cst);
    all_.count_sleeper(1);
    sleep_unless([this]() noexcept {
        sleeps_ = true;
        return all_.any_startable() || all_.is_stopping();
    });
    sleeps_ = false;
    all_.count_sleeper(-1);
    const bool summoned = !asleep_.exchange(false, std::memory_order_seq_cst);
    // The tasks that it was woken for must not wait for what its own will do now.
    if (summoned && !has_startable())
        steal();
}

inline void worker::be_busy() noexcept
{
    if (sleeps_ && !asleep_.exchange(false, std::memory_order_seq_cst) && all_.any_startable())
        all_.wake_for(*this);
}

} // namespace joinery::detail
