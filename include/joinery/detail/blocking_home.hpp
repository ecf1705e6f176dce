// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_list.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/assert.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

namespace joinery::detail {

struct blocking_pool_access;

/// The threads of a `blocking_pool`, and the functions that wait for one. Each runs from its start to its end there.
/**
 * At most one thread at a time is on its way to the functions, woken or new; when it takes one and there are more, it
 * calls the next before it runs its own. So each function has a thread if it needs one, and a burst of short ones is over
 * before it has started many.
 *
 * Rejected: to start or wake a thread for each function. With functions that do nothing, that took twenty times as long.
 */
class blocking_home final : public shared_object, public home {
public:
    blocking_home(std::size_t max_threads, std::chrono::nanoseconds keep_alive)
        : home(static_cast<shared_object&>(*this))
        , max_threads_(max_threads)
        , keep_alive_(keep_alive)
    {
        BOOST_ASSERT(max_threads != 0);
    }

    void schedule(task_node& task) override
    {
        std::unique_lock lock(mutex_);
        if (closed_) {
            lock.unlock();
            return task.end_executor_gone();
        }
        try {
            call_thread();
        } catch (...) {
            if (threads_.empty())
                throw; // nobody would ever come for the task
        }
        tasks_.push_back(task);
        ++waiting_;
    }

    void deliver_abort(task_node&) noexcept override
    {
        // A function that takes no stop token runs to its end.
    }

    bool inside() const noexcept override
    {
        return true;
    }

    boost::asio::any_io_executor executor() override
    {
        return {}; // functions await nothing
    }

    std::size_t thread_count() const
    {
        const std::lock_guard lock(mutex_);
        return threads_.size();
    }

    /// Ends the functions that wait, asks those that run to stop, and waits for them.
    void close() noexcept
    {
        std::unique_lock lock(mutex_);
        closed_ = true;
        task_list dropped = std::move(tasks_);
        waiting_ = 0;
        for (worker& each : threads_) {
            if (each.running)
                each.running->abort(cancel_reason::executor_gone);
        }
        work_.notify_all();
        lock.unlock();
        end_all(std::move(dropped));
        lock.lock();
        ended_.wait(lock, [this] { return threads_.empty(); });
        std::list<worker> finished = std::move(finished_);
        lock.unlock();
        join(finished);
    }

private:
    struct worker {
        std::thread thread;
        task_node* running = nullptr; // under the lock, with a reference
    };

    using worker_iterator = std::list<worker>::iterator;

    /// Sees to it that a thread is on its way. Under the lock. @throws what starting a thread throws
    void call_thread()
    {
        if (is_coming_)
            return;
        if (idle_ != 0)
            work_.notify_one();
        else if (threads_.size() < max_threads_)
            start_thread();
        else
            return;
        is_coming_ = true;
    }

    void start_thread()
    {
        join(finished_);
        threads_.emplace_front();
        try {
            threads_.front().thread = std::thread([this, self = threads_.begin()] { run(self); });
        } catch (...) {
            threads_.pop_front();
            throw;
        }
    }

    void run(worker_iterator self) noexcept
    {
        std::unique_lock lock(mutex_);
        is_coming_ = false;
        while (waiting_ != 0 || wait(lock)) {
            task_node& task = tasks_.pop_front();
            --waiting_;
            task.retain();
            self->running = &task;
            if (waiting_ != 0)
                call_another();
            lock.unlock();
            step(task);
            lock.lock();
            self->running = nullptr;
            lock.unlock();
            task.release();
            lock.lock();
        }
        finished_.splice(finished_.begin(), threads_, self);
        ended_.notify_all();
    }

    /// Waits for a function. False if the thread is to end.
    bool wait(std::unique_lock<std::mutex>& lock)
    {
        ++idle_;
        for (bool in_time = true; in_time && waiting_ == 0 && !closed_;) {
            in_time = work_.wait_for(lock, keep_alive_) == std::cv_status::no_timeout;
            is_coming_ = false; // also when another thread was faster
        }
        --idle_;
        return waiting_ != 0;
    }

    void call_another() noexcept
    {
        try {
            call_thread();
        } catch (...) {
            // It is not to be had. This thread, or another, will come back.
        }
    }

    static void join(std::list<worker>& workers) noexcept
    {
        for (worker& each : workers)
            each.thread.join();
        workers.clear();
    }

    const std::size_t max_threads_;
    const std::chrono::nanoseconds keep_alive_;

    mutable std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable ended_;
    task_list tasks_;
    std::size_t waiting_ = 0; // the number of tasks_
    std::size_t idle_ = 0;    // threads that wait
    bool is_coming_ = false;  // a thread was woken or started, and has not looked yet
    bool closed_ = false;
    std::list<worker> threads_;
    std::list<worker> finished_; // threads that have ended, or are about to, for someone to join
};

/// The home of one function that can be told to stop, by whoever aborts it.
class blocking_call final : public shared_object, public home {
public:
    explicit blocking_call(shared_reference<blocking_home> pool)
        : home(static_cast<shared_object&>(*this))
        , pool_(std::move(pool))
    {
    }

    std::stop_token stop_token() const noexcept
    {
        return stop_.get_token();
    }

    void schedule(task_node& task) override
    {
        pool_->schedule(task);
    }

    void deliver_abort(task_node&) noexcept override
    {
        stop_.request_stop();
    }

    void ask_to_stop(task_node&) noexcept override
    {
        stop_.request_stop();
    }

    bool inside() const noexcept override
    {
        return true;
    }

    boost::asio::any_io_executor executor() override
    {
        return {};
    }

private:
    shared_reference<blocking_home> pool_;
    std::stop_source stop_;
};

} // namespace joinery::detail
