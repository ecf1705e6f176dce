// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/asio_home.hpp>
#include <joinery/detail/run_queue.hpp>
#include <joinery/detail/step.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <mutex>
#include <utility>

namespace joinery::detail {

/// The home of tasks on an executor that runs one handler at a time: one post for each burst of tasks.
class serial_home final : public asio_home {
public:
    /// Whether the caller is inside of an executor that an `any_io_executor` holds.
    using inside_function = bool (*)(const boost::asio::any_io_executor&) noexcept;

    explicit serial_home(boost::asio::any_io_executor executor, inside_function is_inside = nullptr)
        : asio_home(std::move(executor))
        , inside_(is_inside)
    {
    }

    void schedule(task_node& task) override
    {
        if (current_ == this) {
            ready_.push_back(task); // the turn that runs will see it
            return;
        }
        switch (queue_.push(task)) {
        case pushed::queued:
            return;
        case pushed::closed:
            return task.end_executor_gone();
        case pushed::wake:
            break;
        }
        try {
            post_turn(*this);
        } catch (...) {
            forgo_turn(&task);
            throw;
        }
    }

    void deliver_abort(task_node& task) noexcept override
    {
        task.retain();
        switch (queue_.push_aborted(task)) {
        case pushed::queued:
            return;
        case pushed::closed:
            return task.release(); // it has ended, or is about to
        case pushed::wake:
            break;
        }
        post_next_turn(*this);
    }

    bool inside() const noexcept override
    {
        if (current_ == this)
            return true;
        if (!inside_)
            return false;
        const std::lock_guard lock(mutex_); // the caller may be of another context, while this one goes
        return inside_(executor_);
    }

    void close() noexcept override
    {
        const shared_reference<serial_home> keep(*this);
        cancel_operations();
        task_list tasks = std::move(ready_);
        task_list queued;
        aborted_list aborted;
        queue_.close(queued, aborted);
        tasks.append(std::move(queued));
        release_all(std::move(aborted));
        end_all(std::move(tasks));
        parked_link::end_all(parked_);
        endless_sleep::end_all(asleep_);
    }

    /// Lets the tasks that wait take a step, but not for ever. Called by the executor.
    void turn() noexcept
    {
        const home* const outer = std::exchange(current_, this);
        ready_.append(queue_.take()); // so that tasks that yield to each other keep out no other
        for (int steps = 0; steps != steps_per_turn; ++steps) {
            receive_aborts();
            if (ready_.empty())
                ready_ = queue_.take();
            if (ready_.empty())
                break;
            step(ready_.pop_front());
        }
        current_ = outer;
        if (!ready_.empty() || !queue_.sleep())
            post_next_turn(*this);
    }

private:
    friend asio_home;

    /// While the queue still takes the tasks whose operations end: so none ends elsewhere meanwhile.
    void cancel_operations() noexcept
    {
        const home* const outer = std::exchange(current_, this);
        parked_link::end_all(operations_);
        current_ = outer;
    }

    void receive_aborts() noexcept
    {
        aborted_list aborted = queue_.take_aborted();
        while (!aborted.empty()) {
            task_node& task = aborted.pop_front();
            receive_abort(task);
            task.release();
        }
    }

    /// The executor refused a turn, so that nothing would move here any more: ends the tasks that count on it.
    void forgo_turn(task_node* except) noexcept
    {
        task_list tasks = std::move(ready_);
        aborted_list untold;
        do {
            tasks.append(queue_.take());
            untold.append(queue_.take_aborted());
        } while (!queue_.sleep());
        queue_.put_back(std::move(untold));
        end_all(std::move(tasks), except);
    }

    inline static constinit thread_local const home* current_ = nullptr; // whose turn this thread runs

    run_queue queue_;
    task_list ready_;
    inside_function inside_;
};

} // namespace joinery::detail
