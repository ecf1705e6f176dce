// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/context_registry.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/timer_queue.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/error_code.hpp>

#include <mutex>
#include <optional>
#include <utility>

namespace joinery::detail {

/// The timers of tasks on Asio executors: one Asio timer for all tasks of an `io_context` or a `thread_pool`.
/**
 * The Asio timer exists while there are nodes, and waits for the earliest of them, or for an earlier one that was
 * stopped since. So it keeps the context at work while a task sleeps, and not longer. And it is destroyed by who runs
 * the context, or destroys it; the last reference to this may be given up by any thread, beside the context's end.
 *
 * Its handler runs on the context itself, and not on the strand of a task, which could be busy while others wait.
 * A node's call is made outside of the lock, because an executor may run the task on the spot.
 *
 * Tasks on any other executor share one with their home alone: who knows what two such executors have in common.
 */
class context_timer final : public context_member {
public:
    /// The one for the tasks of an executor. @throws std::bad_alloc
    static shared_reference<context_timer> of(const boost::asio::any_io_executor& executor);

    /// Starts a node. False if the context is gone. @throws what the Asio timer throws; then the node is not started.
    bool start(timer_node& node)
    {
        std::unique_lock lock(mutex_);
        if (gone_)
            return false;
        nodes_.insert(node);
        try {
            arm();
        } catch (...) {
            nodes_.erase(node);
            abandon_all(lock);
            throw;
        }
        return true;
    }

    /// Stops a node. False if its time has come.
    bool stop(timer_node& node) noexcept
    {
        const std::lock_guard lock(mutex_);
        if (!nodes_.erase(node))
            return false;
        if (nodes_.empty())
            timer_.reset();
        return true;
    }

private:
    class service;

    explicit context_timer(boost::asio::any_io_executor executor)
        : executor_(std::move(executor))
    {
        join_context(executor_);
    }

    /// Has the Asio timer wait for the earliest node, if it does not. Under the lock, with a node.
    void arm()
    {
        if (is_telling_ || (timer_ && waits_for_ <= nodes_.earliest()))
            return; // who tells the nodes does it in the end
        if (timer_)
            timer_->expires_at(nodes_.earliest());
        else
            timer_.emplace(executor_, nodes_.earliest());
        waits_for_ = nodes_.earliest();
        timer_->async_wait([self = shared_reference<context_timer>(*this)](const boost::system::error_code& error) {
            if (!error)
                self->expire();
        });
    }

    /// Tells the nodes whose time has come, but for the sake of others not too many at a time. Called by the executor.
    void expire() noexcept
    {
        std::unique_lock lock(mutex_);
        if (std::exchange(is_telling_, true))
            return;
        const auto now = timer_node::clock::now();
        for (int told = 0; told != steps_per_turn; ++told) {
            timer_node* const due = nodes_.pop_due(now);
            if (!due)
                break;
            lock.unlock();
            due->expired();
            lock.lock();
        }
        is_telling_ = false;
        timer_.reset();
        try {
            if (!nodes_.empty())
                arm();
        } catch (...) {
            abandon_all(lock);
        }
    }

    void context_gone() noexcept override
    {
        std::unique_lock lock(mutex_);
        gone_ = true;
        abandon_all(lock);
        executor_ = boost::asio::any_io_executor();
    }

    void abandon_all(std::unique_lock<std::mutex>& lock) noexcept
    {
        timer_.reset();
        while (!nodes_.empty()) {
            timer_node& node = nodes_.pop();
            lock.unlock();
            node.abandoned();
            lock.lock();
        }
    }

    std::mutex mutex_;
    timer_queue nodes_;
    std::optional<boost::asio::steady_timer> timer_;
    timer_node::clock::time_point waits_for_; // of `timer_`
    bool is_telling_ = false;
    bool gone_ = false;
    boost::asio::any_io_executor executor_;
};

/// Keeps the one for all tasks of a context.
class context_timer::service : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;

    explicit service(boost::asio::execution_context& context)
        : boost::asio::execution_context::service(context)
    {
    }

    void shutdown() override
    {
    }

    /// @param executor  one of those that run any function of the context at any time
    shared_reference<context_timer> shared(const boost::asio::any_io_executor& executor)
    {
        const std::lock_guard lock(mutex_);
        if (!timer_)
            timer_ = shared_reference<context_timer>::adopt(new context_timer(executor));
        return timer_;
    }

private:
    std::mutex mutex_;
    shared_reference<context_timer> timer_;
};

inline shared_reference<context_timer> context_timer::of(const boost::asio::any_io_executor& executor)
{
    using boost::asio::any_io_executor;
    using boost::asio::io_context;
    using boost::asio::strand;
    using boost::asio::thread_pool;
    if (const auto* const any = executor.target<strand<any_io_executor>>())
        return of(any->get_inner_executor());
    if (const auto* const context = executor.target<strand<io_context::executor_type>>())
        return of(context->get_inner_executor());
    if (const auto* const pool = executor.target<strand<thread_pool::executor_type>>())
        return of(pool->get_inner_executor());
    if (executor.target<io_context::executor_type>() || executor.target<thread_pool::executor_type>())
        return boost::asio::use_service<service>(context_of(executor)).shared(executor);
    return shared_reference<context_timer>::adopt(new context_timer(executor));
}

} // namespace joinery::detail
