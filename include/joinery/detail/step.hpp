// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_node.hpp>

#include <coroutine>
#include <utility>

namespace joinery::detail {

/// How many steps tasks take, one after the other, before other handlers get their turn.
inline constexpr int steps_per_turn = 128;

/// What became of the start of a suspension.
enum class progress {
    waiting, // the task is someone else's now, or has ended: touch it no more
    ready    // it is over already: resume the task
};

/// What a task's coroutine waits for: a part of the awaiter, in the frame of the coroutine that waits.
/**
 * The coroutine is wholly suspended before `start` is called, and `start` is called from outside of it, so
 * the frame may be resumed or destroyed at any moment from then on.
 */
class suspension {
public:
    suspension(const suspension&) = delete;
    suspension& operator=(const suspension&) = delete;

    /// Begins the operation. In the serial order of the task's home.
    virtual progress start(task_node& task) noexcept = 0;

    /// Asks the operation, which has started, to end. In the serial order of the task's home.
    virtual void cancel(task_node&) noexcept
    {
    }

    std::coroutine_handle<> coroutine; // what to resume when it is over
    bool lost = false;                 // it will never be over: its handler was destroyed
    bool granted = false;              // it gave a result that must not be lost: resume in spite of an abort
    bool starts_anew = false;          // when its task is scheduled, start it again: it will see whether it is over

protected:
    constexpr suspension() noexcept = default;
    ~suspension() = default;
};

/// Takes a task from where it is to where it waits again, or ends. In the serial order of its home.
/**
 * The one place in which a task's coroutine is entered, resumed or destroyed:
 *
 *     not entered ──▶ runs ──▶ waits ──▶ the operation is over ──▶ runs … runs to its end ──▶ ended
 *          │                     │                │                                             ▲
 *          └────── abort ────────┴──── abort ─────┴─────────────────────────────────────────────┘
 *
 * An aborted task is destroyed where it stands: not entered, about to wait, or when what it waits for is
 * over. It is never resumed to be told, but for work that is not a `task`, whose own rules decide.
 */
inline void step(task_node& task) noexcept
{
    for (;;) {
        suspension* waiting = task.waiting_;
        if (!task.step_.to_start && !(waiting && waiting->starts_anew)) {
            if (waiting && waiting->lost)
                return task.end_executor_gone();
            if (task.must_end() && !(waiting && (waiting->granted || task.step_.foreign)))
                return task.end_cancelled();
            task.waiting_ = nullptr;
            task.step_.stepping = true;
            (waiting ? waiting->coroutine : task.frame()).resume();
            waiting = task.waiting_;
        }
        task.step_.to_start = false;
        task.step_.stepping = true;
        if (waiting->start(task) == progress::waiting)
            return;
    }
}

/// Continues a task whose operation is over, from whatever thread found out.
inline void operation_over(task_node& task) noexcept;

/// Queues a task for its next step; ends it if its home cannot take it.
inline void reschedule(task_node& task) noexcept
{
    task.step_.stepping = false;
    try {
        task.where().schedule(task);
    } catch (...) {
        task.end_executor_gone();
    }
}

inline void operation_over(task_node& task) noexcept
{
    if (!task.where().inside()) {
        try {
            task.where().schedule(task);
        } catch (...) {
            task.end_executor_gone();
        }
    } else if (task.step_.stepping) {
        task.step_.ended = true;
    } else {
        step(task);
    }
}

/// Waits for an operation that an abort cancels: what a `co_await` of something asynchronous is.
class cancellable_suspension : public suspension {
public:
    /// Called in the coroutine, before it is suspended. @throws std::bad_alloc
    void prepare(task_node& task, std::coroutine_handle<> waiter, wait_kind kind)
    {
        if (!task.where().serial())
            task.move_to(*task.where().make_serial(), true);
        coroutine = waiter;
        task.waits_for_ = kind;
        task.waiting_ = this;
    }

    progress start(task_node& task) noexcept override
    {
        if (!task.where().inside()) {
            task.step_.to_start = true;
            reschedule(task);
            return progress::waiting;
        }
        if (!task.settle_in_home()) {
            task.end_cancelled();
            return progress::waiting;
        }
        initiate(task);
        return settle(task);
    }

    void cancel(task_node& task) noexcept final
    {
        task.step_.stepping = true;
        request_end(task);
        if (settle(task) == progress::ready)
            step(task);
    }

protected:
    constexpr cancellable_suspension() noexcept = default;
    ~cancellable_suspension() = default;

    /// Starts the operation, whose end is told by `operation_over`, also from within this call.
    virtual void initiate(task_node& task) noexcept = 0;

    /// Cancels the operation, which then ends in its own time, also from within this call.
    virtual void request_end(task_node& task) noexcept = 0;

private:
    static progress settle(task_node& task) noexcept
    {
        task.step_.stepping = false;
        if (!task.step_.ended)
            return progress::waiting;
        task.step_.ended = false;
        return progress::ready;
    }
};

/// Stands in a list of its home, so that the home's end finds a task that no operation of its context would end.
/** Enters the list and leaves it in the home's serial order; at the latest, when the coroutine goes on or is destroyed. */
class parked_link {
public:
    parked_link(const parked_link&) = delete;
    parked_link& operator=(const parked_link&) = delete;

    /// Ends the tasks in a list of a home whose executor is gone, or cancels what they wait for. In its serial order.
    static void end_all(parked_link*& list) noexcept
    {
        while (list) {
            parked_link& parked = *list;
            parked.unpark();
            parked.home_gone();
        }
    }

    void park(home& where) noexcept
    {
        park(where.parked_);
    }

    void park(parked_link*& list) noexcept
    {
        link_ = &list;
        after_ = *link_;
        if (after_)
            after_->link_ = &after_;
        *link_ = this;
    }

    void unpark() noexcept
    {
        *link_ = after_;
        if (after_)
            after_->link_ = link_;
        link_ = nullptr;
    }

    bool is_parked() const noexcept
    {
        return link_ != nullptr;
    }

protected:
    constexpr parked_link() noexcept = default;

    ~parked_link()
    {
        if (is_parked())
            unpark();
    }

private:
    /// Ends the task, which is in the list no more; or cancels its operation, with the end of which it will end.
    virtual void home_gone() noexcept = 0;

    parked_link* after_ = nullptr;
    parked_link** link_ = nullptr; // what points at this one
};

/// Waits for nothing but an abort: one object for all tasks that do, which stand in the list of their home.
/**
 * The list goes through the nodes. A task that sleeps is in no queue, so `next_` is free, and as `waiting_` would say
 * nothing new, its place holds the other link. So such a task takes no memory but its node and the least of a frame,
 * and its end looks at no other place. On a home that is not serial, too: nothing of it happens in any order.
 */
class endless_sleep final : public suspension {
public:
    inline static endless_sleep& instance() noexcept;

    progress start(task_node& task) noexcept override
    {
        home& where = task.where();
        if (task.step_.settled && !task.settle_in_home()) {
            task.end_cancelled();
        } else if (!where.serial()) {
            where.keep_asleep(task);
        } else if (!where.inside()) {
            task.step_.to_start = true;
            reschedule(task);
        } else if (!task.settle_in_home()) {
            task.end_cancelled();
        } else {
            task.step_.stepping = false;
            add(task, where.asleep_);
        }
        return progress::waiting;
    }

    static void add(task_node& task, task_node*& list) noexcept
    {
        task.next_ = list;
        if (list)
            list->link_asleep(&task.next_);
        list = &task;
        task.link_asleep(&list);
        task.is_asleep_ = true;
    }

    /// Takes a task out of its list. Its next step decides again whether it sleeps.
    static void remove(task_node& task) noexcept
    {
        *task.link_asleep() = task.next_;
        if (task.next_)
            task.next_->link_asleep(task.link_asleep());
        task.is_asleep_ = false;
        task.waiting_ = &instance();
    }

    /// Ends the tasks in the list of a home whose executor is gone. In the home's serial order.
    static void end_all(task_node*& list) noexcept
    {
        while (list) {
            task_node& task = *list;
            remove(task);
            task.end_executor_gone();
        }
    }

    /// Moves all to a list that is empty.
    static void move_all(task_node*& from, task_node*& to) noexcept
    {
        to = std::exchange(from, nullptr);
        if (to)
            to->link_asleep(&to);
    }

private:
    constexpr endless_sleep() noexcept
    {
        starts_anew = true;
    }
};

inline endless_sleep& endless_sleep::instance() noexcept
{
    static constinit endless_sleep only;
    return only;
}

/// Lets the other tasks of the home take their turn.
class yield_suspension final : public suspension {
public:
    progress start(task_node& task) noexcept override
    {
        if (task.must_end())
            task.end_cancelled();
        else
            reschedule(task);
        return progress::waiting;
    }
};

/// Tells a task, in its home's serial order, of an abort that came after it had first waited.
/** One that is held back cancels nothing: the task finds itself aborted when it waits for the first time after. */
inline void receive_abort(task_node& task) noexcept
{
    if (task.is_asleep_) {
        if (task.settle_in_home())
            return; // an abort that does not end it
        endless_sleep::remove(task);
        task.end_cancelled();
    } else if (suspension* const waiting = task.waiting_;
               waiting && !task.step_.stepping && !task.step_.to_start && task.holds_ == 0) {
        waiting->cancel(task);
    }
}

/// Tells a task the same when the home's executor is gone: it ends with what it waits for.
inline void receive_end_of_home(task_node& task) noexcept
{
    task.mark_aborted(cancel_reason::executor_gone);
    receive_abort(task);
}

/// The end of a task's coroutine.
template<outcome How>
class end_suspension final : public suspension {
public:
    progress start(task_node& task) noexcept override
    {
        task.step_.stepping = false;
        task.end(How);
        return progress::waiting;
    }

    static suspension& instance() noexcept
    {
        static constinit end_suspension ended;
        return ended;
    }
};

} // namespace joinery::detail
