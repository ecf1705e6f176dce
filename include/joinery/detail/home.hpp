// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/shared_object.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/assert.hpp>

namespace joinery::detail {

class idle_runners;
class parked_link;
class task_node;
class timer_node;

/// Where tasks run: a queue of tasks to take a step, and the executor that takes it.
/**
 * Every task has one home at a time. It starts with the one that it was spawned on; a runtime's worker that
 * takes it, or the strand that it gets, becomes its home before it first waits for an operation, and from
 * then on its home never changes. So whoever aborts a task that has waited may read its home.
 *
 * A home that is `serial()` takes the steps of its tasks one after another; only on such a home is an
 * operation started, resumed or cancelled.
 *
 * Homes outlive their executors: when the execution context ends, the home is closed, ends the tasks that it
 * has as `executor_gone`, and ends whatever still comes at once.
 */
class home {
public:
    explicit home(shared_object& anchor) noexcept
        : anchor_(&anchor)
    {
    }

    home(const home&) = delete;
    home& operator=(const home&) = delete;

    /// Arranges that the task takes its next step here. Any thread.
    /** @throws what the executor throws; then the task is not scheduled. */
    virtual void schedule(task_node& task) = 0;

    /// Tells a task that has waited for an operation here that it is aborted. Any thread.
    virtual void deliver_abort(task_node& task) noexcept = 0;

    /// Asks a task, whose aborts are delivered here, to come to an end by itself. Any thread.
    virtual void ask_to_stop(task_node&) noexcept
    {
    }

    /// Keeps a task that waits for nothing but an abort, until there is one or the home ends. If it is not serial.
    virtual void keep_asleep(task_node&) noexcept
    {
    }

    /// Arranges that a task takes its next step, unless the home has ended: then its end finds the task.
    /** For tasks that are in the home's list `parked_`. Any thread. Only a home that `takes_parked()` can do it. */
    virtual void schedule_parked(task_node&) noexcept
    {
    }

    /// Lets the executor's other handlers run as soon as the present step is over. In the home's serial order.
    virtual void end_turn() noexcept
    {
    }

    virtual bool takes_parked() const noexcept
    {
        return false;
    }

    /// Whether the caller runs in this home's serial order. False when that is not known.
    virtual bool inside() const noexcept = 0;

    virtual bool serial() const noexcept
    {
        return true;
    }

    /// The executor for the I/O objects of the tasks here, and for the handlers of their operations.
    virtual boost::asio::any_io_executor executor() = 0;

    /// Whether that is a given one. Any thread.
    virtual bool runs_on(const boost::asio::any_io_executor& executor)
    {
        return this->executor() == executor;
    }

    /// Counts the operations that its tasks wait for, for a home that needs to know. Any thread.
    virtual void operation_began() noexcept
    {
    }

    virtual void operation_ended() noexcept
    {
    }

    /// Has a node told when its time has come, which may be on any thread. In the home's serial order.
    /** @returns false if the home has ended. @throws what an Asio timer throws; then the node is not started. */
    virtual bool start_timer(timer_node&)
    {
        BOOST_ASSERT_MSG(false, "no task waits here");
        return false;
    }

    /// Takes a node back that was started here. In the home's serial order.
    /** @returns false if it is told, or was, or is about to be. */
    virtual bool stop_timer(timer_node&) noexcept
    {
        return false;
    }

    /// The coroutines that wait here for an `asio::awaitable`, for callers who are where the tasks run; else null.
    virtual idle_runners* idle_runners_here() noexcept
    {
        return nullptr;
    }

    /// A serial home for one task of a home that is not serial. The caller owns a reference.
    virtual home* make_serial()
    {
        return this;
    }

    /// Where the tasks go that a task here makes and waits for. In the home's serial order.
    virtual home& for_children() noexcept
    {
        return *this;
    }

    shared_object& anchor() const noexcept
    {
        return *anchor_;
    }

    // What its tasks wait for, so that the end of the home finds them; in serial order, if there is one.
    parked_link* parked_ = nullptr;     // a join, but no operation of Asio's: the end of the home ends the task
    parked_link* operations_ = nullptr; // … and these it cancels
    task_node* asleep_ = nullptr;       // those that wait for nothing but an abort

protected:
    ~home() = default;

private:
    shared_object* anchor_;
};

} // namespace joinery::detail
