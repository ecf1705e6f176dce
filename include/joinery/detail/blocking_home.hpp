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
        if (idle_ <= waiting_ && threads_.size() < max_threads_) {
            try {
                start_thread();
            } catch (...) {
                if (threads_.empty())
                    throw; // nobody would ever come for the task
            }
        }
        tasks_.push_back(task);
        ++waiting_;
        work_.notify_one();
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
        ++idle_;
    }

    /// A thread is counted as idle from its start, so that a burst of functions starts one thread for each.
    void run(worker_iterator self) noexcept
    {
        std::unique_lock lock(mutex_);
        while (work_.wait_for(lock, keep_alive_, [this] { return waiting_ != 0 || closed_; }) && waiting_ != 0) {
            task_node& task = tasks_.pop_front();
            --waiting_;
            --idle_;
            task.retain();
            self->running = &task;
            lock.unlock();
            step(task);
            lock.lock();
            self->running = nullptr;
            ++idle_;
            lock.unlock();
            task.release();
            lock.lock();
        }
        --idle_;
        finished_.splice(finished_.begin(), threads_, self);
        ended_.notify_all();
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
    std::size_t idle_ = 0;    // threads that run no task
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
