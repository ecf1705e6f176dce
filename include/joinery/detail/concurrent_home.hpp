// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/asio_home.hpp>
#include <joinery/detail/serial_home.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_list.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/strand.hpp>

#include <mutex>
#include <utility>

namespace joinery::detail {

/// The home of tasks on an executor that may run several handlers at once: the tasks spread over its threads.
/**
 * A turn takes one task, and asks for another turn, if there are more tasks, before it enters the task: a task that
 * computes holds back no other. At most one turn is asked for at a time, so that a burst of tasks does not flood
 * the executor's own queue.
 *
 * A task that has to wait for an operation leaves for a `serial_home` of its own, on a strand.
 */
class concurrent_home final : public asio_home {
public:
    explicit concurrent_home(boost::asio::any_io_executor executor)
        : asio_home(std::move(executor))
    {
    }

    void schedule(task_node& task) override
    {
        std::unique_lock lock(queue_mutex_);
        if (closed_) {
            lock.unlock();
            return task.end_executor_gone();
        }
        tasks_.push_back(task);
        if (std::exchange(turn_is_due_, true))
            return;
        const shared_reference<concurrent_home> keep(*this); // a turn that runs may end the task now
        lock.unlock();
        try {
            post_turn(*this);
        } catch (...) {
            forgo_turn(&task);
            throw;
        }
    }

    void deliver_abort(task_node&) noexcept override
    {
        // Nobody settles here: a task that has to wait for an operation leaves.
    }

    bool inside() const noexcept override
    {
        return false;
    }

    bool serial() const noexcept override
    {
        return false;
    }

    home* make_serial() override
    {
        using strand = boost::asio::strand<boost::asio::any_io_executor>;
        return new serial_home(strand(executor_), [](const boost::asio::any_io_executor& executor) noexcept {
            const strand* const inner = executor.target<strand>();
            return inner && inner->running_in_this_thread();
        });
    }

    void close() noexcept override
    {
        const shared_reference<concurrent_home> keep(*this);
        std::unique_lock lock(queue_mutex_);
        closed_ = true;
        task_list tasks = std::move(tasks_);
        lock.unlock();
        end_all(std::move(tasks));
    }

    /// Lets a task take a step, and some more if nobody else comes for them. Called by the executor.
    void turn() noexcept
    {
        std::unique_lock lock(queue_mutex_);
        turn_is_due_ = false;
        for (int steps = 0; !tasks_.empty(); ++steps) {
            task_node* const task = steps < steps_per_turn ? &tasks_.pop_front() : nullptr;
            const bool more = !tasks_.empty() && !std::exchange(turn_is_due_, true);
            lock.unlock();
            if (more)
                post_next_turn(*this);
            if (!task)
                return;
            step(*task);
            lock.lock();
        }
    }

private:
    friend asio_home;

    /// The executor refused a turn, so that nothing would move here any more: ends the tasks that count on it.
    void forgo_turn(task_node* except) noexcept
    {
        std::unique_lock lock(queue_mutex_);
        turn_is_due_ = false;
        task_list tasks = std::move(tasks_);
        lock.unlock();
        end_all(std::move(tasks), except);
    }

    std::mutex queue_mutex_;
    task_list tasks_;
    bool turn_is_due_ = false; // one was asked for, and has not begun
    bool closed_ = false;
};

} // namespace joinery::detail
