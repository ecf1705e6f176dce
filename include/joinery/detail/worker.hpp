// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/asio_home.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/home_of.hpp>
#include <joinery/detail/run_queue.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_stack.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

namespace joinery::detail {

class runtime_home;

/// An `io_context` that can be made to drop its handlers before it is destroyed.
class worker_context : public boost::asio::io_context {
public:
    worker_context()
        : boost::asio::io_context(1)
    {
    }

    using boost::asio::io_context::shutdown;
};

/// A thread of a runtime, its `io_context`, and the tasks that have started there.
/**
 * The tasks that have started here stay here: they come through `queue_`, or, from this thread itself, straight into
 * `ready_`. The tasks that have not started come through `inbox_` into `startable_`, from which any worker that has
 * nothing to do takes them: so a task that computes holds back none but those that have started on its worker.
 *
 * A worker sleeps in its `io_context`, which also waits for I/O. Before it does, it says so, and then looks once more
 * everywhere; who brings a task first puts it in its place, and then looks for a sleeper. So none is missed. A
 * sleeper is woken by who takes back its word, `asleep_`, so that it is woken once.
 */
class worker final : public home {
public:
    worker(runtime_home& all, shared_object& anchor)
        : home(anchor)
        , all_(all)
        , context_(std::in_place)
        , executor_(context_->get_executor())
        , guard_(context_->get_executor())
    {
        boost::asio::use_service<resident_home>(*context_).settle(
            *this,
            [](const boost::asio::any_io_executor& executor) noexcept { return own_io_context(executor) != nullptr; });
    }

    // -- home --------------------------------------------------------------------------------------------

    void schedule(task_node& task) override
    {
        if (current_ == this) {
            ready_.push_back(task);
            return;
        }
        switch (queue_.push(task)) {
        case pushed::queued:
            break;
        case pushed::closed:
            task.end_executor_gone();
            break;
        case pushed::wake:
            wake();
        }
    }

    void deliver_abort(task_node& task) noexcept override
    {
        task.retain();
        switch (queue_.push_aborted(task)) {
        case pushed::queued:
            break;
        case pushed::closed:
            task.release(); // it has ended, or is about to
            break;
        case pushed::wake:
            wake();
        }
    }

    /// Not while handlers of the `io_context` run: what they continue takes its step from the worker's own loop.
    bool inside() const noexcept override
    {
        return current_ == this && !in_context_;
    }

    boost::asio::any_io_executor executor() const override
    {
        return executor_;
    }

    // -- the worker's thread -----------------------------------------------------------------------------

    void run() noexcept;

    static worker* current() noexcept
    {
        return current_;
    }

    // -- anyone ------------------------------------------------------------------------------------------

    boost::asio::io_context& context() noexcept
    {
        return *context_;
    }

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
        task_list tasks = std::move(ready_);
        task_list more;
        aborted_list aborted;
        queue_.close(more, aborted);
        tasks.append(std::move(more));
        tasks.append(std::move(startable_));
        tasks.append(inbox_.close());
        startable_count_.store(0, std::memory_order_relaxed);
        release_all(std::move(aborted));
        end_all(std::move(tasks));
        parked_suspension::end_all(parked_);
    }

    /// Destroys the handlers that wait in the `io_context`, and so ends the tasks that wait for operations.
    void shut_context_down() noexcept
    {
        guard_.reset();
        context_->shutdown();
    }

    void destroy_context() noexcept
    {
        const std::lock_guard lock(context_mutex_);
        context_.reset();
    }

    /// Makes the worker leave its sleep, or not fall into the next one before it has looked round. Allocates nothing.
    void wake() noexcept
    {
        const std::lock_guard lock(context_mutex_);
        if (context_)
            context_->stop();
    }

private:
    /// Moves what has come into the inbox to where it can be taken one by one. Under the lock.
    void accept() noexcept
    {
        task_list came = inbox_.take();
        while (!came.empty()) {
            startable_.push_back(came.pop_front());
            startable_count_.store(startable_count_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
        }
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

    /// Enters a task. If there are more, someone else comes for them.
    bool start_one() noexcept;

    void keep(task_list tasks) noexcept
    {
        const std::lock_guard lock(startable_mutex_);
        while (!tasks.empty()) {
            startable_.push_back(tasks.pop_front());
            startable_count_.store(startable_count_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
        }
    }

    /// Makes the `io_context` usable again. Who woke the worker had put down its task before, and it is found after.
    void clear_wake()
    {
        if (context_->stopped())
            context_->restart();
    }

    bool take_turn() noexcept;
    bool poll_context() noexcept;
    void sleep() noexcept;

    inline static constinit thread_local worker* current_ = nullptr;

    runtime_home& all_;
    std::optional<worker_context> context_;
    const boost::asio::io_context::executor_type executor_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;

    // this thread's
    task_list ready_;
    bool in_context_ = false;

    // shared
    std::mutex context_mutex_; // between a late wake and the end
    run_queue queue_;
    task_stack<> inbox_;
    std::mutex startable_mutex_;
    task_list startable_;
    std::atomic<std::size_t> startable_count_{0};
    std::atomic<bool> asleep_{false};
};

} // namespace joinery::detail
