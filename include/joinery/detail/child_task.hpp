// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/await.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/result_room.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/join_error.hpp>
#include <joinery/task.hpp>
#include <joinery/task_id.hpp>

#include <boost/assert.hpp>

#include <stop_token>
#include <utility>

namespace joinery::detail {

/// Disposes of tasks that have ended and that their parents have let go.
template<class V>
class ended_child final : public completion_sink {
public:
    static ended_child& instance() noexcept
    {
        static constinit ended_child sink;
        return sink;
    }

    void completed(task_node&) noexcept override
    {
        BOOST_ASSERT_MSG(false, "it has ended before");
    }

    void dispose(task_node& task) noexcept override
    {
        task_block<V>::dispose(task);
    }
};

/// A task in no set, which its parent can abort without ending itself: a part of what the parent waits in.
/**
 * From `spawn` to `child_ended`, which is called once, on whatever thread the task ends, this must stay where it is. It
 * keeps the outcome of the task.
 *
 * Rejected: an object of its own that the task shares, as a `lone_task` is. An abort that is on its way may keep the
 * task beyond its parent; but by then the task needs nobody but someone to dispose of it, which takes no state.
 */
template<class V>
class child_task : private completion_sink {
public:
    child_task(const child_task&) = delete;
    child_task& operator=(const child_task&) = delete;

protected:
    child_task() noexcept = default;

    ~child_task()
    {
        if (task_)
            task_->release();
    }

    /// Takes the task, which can be aborted from now on, but does not begin. What asks its parent to stop asks it, too.
    void spawn(home& where, task<V>&& work, task_node* parent = nullptr) noexcept
    {
        above_ = parent;
        where.anchor().retain();
        task_ = &task_access::node(work);
        task_->spawned(*this, where, true, next_task_number());
        task_access::release(work);
    }

    /// Sends it on its way. It may have ended when this returns.
    void begin() noexcept
    {
        try {
            task_->where().schedule(*task_);
        } catch (...) {
            task_->end_executor_gone();
        }
    }

    /// Ends it before it begins.
    void discard() noexcept
    {
        task_->end_executor_gone();
    }

    /// Asks it to end. Any thread.
    void abort(cancel_reason reason) noexcept
    {
        task_->abort(reason);
    }

    /// How it has ended.
    outcome how() const noexcept
    {
        return task_->how();
    }

    /// Moves its outcome out. Once, when it has ended.
    join_result<V> take()
    {
        return task_block<V>::take(*task_);
    }

    /// It has ended: its frame is gone. Any thread.
    virtual void child_ended() noexcept = 0;

private:
    void completed(task_node& task) noexcept final
    {
        task.dispose_by(ended_child<V>::instance());
        task.release(); // the one of `task_` is left
        child_ended();
    }

    std::stop_token stop_token() final
    {
        return above_ ? above_->sink().stop_token() : std::stop_token();
    }

    void dispose(task_node&) noexcept final
    {
        BOOST_ASSERT_MSG(false, "it holds a reference until it has ended");
    }

    task_node* task_ = nullptr;  // with a reference
    task_node* above_ = nullptr; // waits here, if it is a task
};

} // namespace joinery::detail
