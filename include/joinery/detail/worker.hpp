// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/loop_home.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_stack.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <utility>

namespace joinery::detail {

class runtime_home;

/// A thread of a runtime, and the tasks that have started there.
/**
 * The tasks that have started here stay here. The tasks that have not started come through `inbox_` into `startable_`,
 * from which any worker that has nothing to do takes them: so a task that computes holds back none but those that have
 * started on its worker.
 *
 * Before a worker sleeps, it says so, and then looks once more everywhere; who brings a task first puts it in its place,
 * and then looks for a sleeper. So none is missed. A sleeper is woken by who takes back its word, `asleep_`, so that it
 * is woken once.
 *
 * Every worker with tasks that have not started has someone who is on the way to them, unless all are awake: who was
 * woken looks for such tasks before anything else, and who takes some of them and leaves some wakes the next one.
 */
class worker final : public loop_home {
public:
    worker(runtime_home& all, shared_object& anchor)
        : loop_home(anchor)
        , all_(all)
        , guard_(context().get_executor())
    {
    }

    // -- the worker's thread -----------------------------------------------------------------------------

    void run() noexcept;

    /// The worker that runs on the calling thread; null if there is none, or a `local_set` runs in one of its tasks.
    static worker* current() noexcept
    {
        return running_ && running_->runs_here() ? running_ : nullptr;
    }

    /// To be called on the worker's thread before what may compute for long: whoever summons it now asks another.
    void be_busy() noexcept;

    // -- anyone ------------------------------------------------------------------------------------------

    runtime_home& all() const noexcept
    {
        return all_;
    }

    /// Brings a task that has not started. False if the worker is closed.
    bool bring(task_node& task) noexcept
    {
        return inbox_.push(task);
    }

    /// Whether there may be a task that has not started.
    bool has_startable() const noexcept
    {
        return !inbox_.empty() || startable_count_.load(std::memory_order_seq_cst) != 0;
    }

    /// Wakes the worker if it sleeps. Whether it did.
    bool wake_sleeper() noexcept
    {
        if (!asleep_.load(std::memory_order_seq_cst) || !asleep_.exchange(false))
            return false;
        wake();
        return true;
    }

    /// Takes some of the tasks that have not started: half of them.
    task_list give_half() noexcept
    {
        const std::lock_guard lock(startable_mutex_);
        accept();
        task_list half;
        const std::size_t count = startable_count_.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i != (count + 1) / 2; ++i)
            half.push_back(startable_.pop_front());
        startable_count_.store(count / 2, std::memory_order_seq_cst);
        return half;
    }

    // -- the end, from the thread that destroys the runtime, when the workers' threads are joined -------------

    void close() noexcept
    {
        task_list tasks = std::move(startable_);
        tasks.append(inbox_.close());
        startable_count_.store(0, std::memory_order_relaxed);
        close_queues();
        end_all(std::move(tasks));
    }

    void shut_context_down() noexcept
    {
        guard_.reset();
        loop_home::shut_context_down();
    }

    using loop_home::destroy_context;

private:
    /// Moves what has come into the inbox to where it can be taken one by one. Under the lock.
    void accept() noexcept
    {
        if (inbox_.empty())
            return;
        // Who looks for tasks meanwhile, and would sleep if there were none, must not see them in neither place.
        std::size_t count = startable_count_.load(std::memory_order_relaxed);
        startable_count_.store(count + 1, std::memory_order_seq_cst);
        task_list came = inbox_.take();
        for (; !came.empty(); ++count)
            startable_.push_back(came.pop_front());
        startable_count_.store(count, std::memory_order_seq_cst);
    }

    task_node* take_startable() noexcept
    {
        if (!has_startable())
            return nullptr;
        const std::lock_guard lock(startable_mutex_);
        if (startable_.empty())
            accept();
        if (startable_.empty())
            return nullptr;
        startable_count_.store(startable_count_.load(std::memory_order_relaxed) - 1, std::memory_order_seq_cst);
        return &startable_.pop_front();
    }

    /// Enters a task that has not started, if there is one. If there are more, someone else comes for them.
    bool start_one() noexcept;

    /// Gets tasks that have not started from the other workers. Whether there were any.
    bool steal() noexcept;

    void sleep() noexcept;

    inline static constinit thread_local worker* running_ = nullptr;

    runtime_home& all_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
    bool sleeps_ = false; // or runs the handler that ended its sleep; this thread's

    // shared
    task_stack<> inbox_;
    std::mutex startable_mutex_;
    task_list startable_;
    std::atomic<std::size_t> startable_count_{0};
    std::atomic<bool> asleep_{false};
};

} // namespace joinery::detail
