// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/asio_home.hpp>
#include <joinery/detail/due_queue.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/strand_owner.hpp>
#include <joinery/detail/task_strand.hpp>
#include <joinery/detail/task_strand_executor.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>

#include <mutex>
#include <utility>

namespace joinery::detail {

/// The home of tasks on an executor that may run several handlers at once: the tasks spread over its threads.
/**
 * A turn takes one task, or one strand of a task, and asks for another turn, if there are more, before it enters it: a
 * task that computes holds back no other. At most one turn is asked for at a time, so that a burst of tasks, of aborts
 * or of operations that end elsewhere does not flood the executor's own queue.
 *
 * A task that has to wait for an operation leaves for a `task_strand` of its own, which comes to its turns here. A task
 * that waits for nothing but an abort stays, in `asleep_`: for it there is nothing to be put into an order. The strands
 * stand in a list, so that the end of the home finds each of them, whatever its task waits for.
 *
 * `queue_mutex_` is never held while anything else is locked or called.
 */
class concurrent_home final : public strand_owner {
public:
    /// Whether the caller is on a thread of the executor that an `any_io_executor` holds.
    using inside_function = bool (*)(const boost::asio::any_io_executor&) noexcept;

    explicit concurrent_home(boost::asio::any_io_executor executor, inside_function is_inside = nullptr)
        : strand_owner(std::move(executor))
        , inside_(is_inside)
    {
    }

    // -- home --------------------------------------------------------------------------------------------

    void schedule(task_node& task) override
    {
        std::unique_lock lock(queue_mutex_);
        if (closed_) {
            lock.unlock();
            return task.end_executor_gone();
        }
        due_.push_back(task);
        try {
            ask_for_turn(lock);
        } catch (...) {
            if (forgo_turn(&task))
                throw;
        }
    }

    void keep_asleep(task_node& task) noexcept override
    {
        std::unique_lock lock(queue_mutex_);
        if (closed_) {
            lock.unlock();
            return task.end_executor_gone();
        }
        task.step_.stepping = false;
        endless_sleep::add(task, asleep_);
        if (task.settle_in_home())
            return; // who aborts it from now on finds it in the list
        endless_sleep::remove(task);
        lock.unlock();
        task.end_cancelled();
    }

    void deliver_abort(task_node& task) noexcept override
    {
        std::unique_lock lock(queue_mutex_);
        if (closed_ || task.holds_ != 0)
            return; // it has ended, or is about to; or it holds the abort back, and will for ever
        endless_sleep::remove(task);
        due_.push_back(task);
        try {
            ask_for_turn(lock);
        } catch (...) {
            forgo_turn(nullptr);
        }
    }

    bool inside() const noexcept override
    {
        return false;
    }

    bool serial() const noexcept override
    {
        return false;
    }

    /// For the task that takes a step in the turn that calls this.
    home* make_serial() override
    {
        return &task_strand::make_entered(*this);
    }

    // -- its strands ---------------------------------------------------------------------------------------

    bool bring(task_strand& strand, unsigned what) noexcept override
    {
        const shared_reference<concurrent_home> keep(*this); // who is busy meanwhile may end the last task
        std::unique_lock lock(queue_mutex_);
        if (closed_)
            return false;
        if (strand.claim(what))
            push_due(strand, lock);
        return true;
    }

    void make_due(task_strand& strand) noexcept override
    {
        std::unique_lock lock(queue_mutex_);
        if (!closed_)
            return push_due(strand, lock);
        lock.unlock();
        strand.end();
    }

    bool runs_here() const noexcept override
    {
        if (turn_state::innermost && &turn_state::innermost->where == this)
            return true;
        if (!inside_)
            return false;
        const std::lock_guard lock(mutex_); // the caller may be of another context, while this one goes
        return inside_(executor_);
    }

    void end_turn() noexcept override
    {
        if (turn_state::innermost && &turn_state::innermost->where == this)
            turn_state::innermost->ends = true;
    }

    void unlist(task_strand& strand) noexcept override
    {
        const std::lock_guard lock(queue_mutex_);
        if (is_listed(strand)) // else the end of the home was faster
            listed_.erase(listed_.iterator_to(strand));
    }

    // -- the executor --------------------------------------------------------------------------------------

    void close() noexcept override
    {
        const shared_reference<concurrent_home> keep(*this);
        std::unique_lock lock(queue_mutex_);
        closed_ = true;
        due_queue due = std::move(due_);
        task_node* asleep = nullptr;
        endless_sleep::move_all(asleep_, asleep);
        lock.unlock();
        while (!due.empty())
            end(due.pop_front());
        endless_sleep::end_all(asleep);
        while (task_strand* const strand = take_listed()) {
            strand->home_ended();
            strand->release();
        }
    }

    /// Lets a task take a step, and some more if nobody else comes for them. @throws what a function throws
    void turn()
    {
        turn_state now(*this);
        task_strand* made = nullptr; // by the task that has taken its step; this turn is busy with it
        std::unique_lock lock(queue_mutex_);
        turn_is_due_ = false;
        for (int steps = 0;; ++steps) {
            if (made)
                made = list(*made, lock);
            const bool is_over = due_.empty() || steps == steps_per_turn || now.ends;
            const due_queue::item next = is_over ? due_queue::item() : due_.pop_front();
            const bool more = !due_.empty() && !std::exchange(turn_is_due_, true);
            lock.unlock();
            if (made)
                std::exchange(made, nullptr)->release();
            if (more)
                post_next_turn(*this);
            if (is_over)
                return;
            if (next.task)
                made = run(*next.task);
            else if (task_strand* const again = run(*next.strand))
                put_back({nullptr, again});
            lock.lock();
        }
    }

private:
    friend asio_home;

    using listed_strands = boost::intrusive::list<task_strand, boost::intrusive::constant_time_size<false>>;

    /// The turns that this thread is in.
    struct turn_state {
        explicit turn_state(concurrent_home& home) noexcept
            : where(home)
            , outer(std::exchange(innermost, this))
        {
        }

        ~turn_state()
        {
            innermost = outer;
        }

        turn_state(const turn_state&) = delete;
        turn_state& operator=(const turn_state&) = delete;

        concurrent_home& where;
        turn_state* outer;
        bool ends = false;

        static thread_local constinit turn_state* innermost;
    };

    void push_due(task_strand& strand, std::unique_lock<std::mutex>& lock) noexcept
    {
        strand.retain();
        due_.push_back(strand);
        try {
            ask_for_turn(lock);
        } catch (...) {
            forgo_turn(nullptr);
        }
    }

    /// Asks for a turn, if none is due. @throws what the executor throws
    void ask_for_turn(std::unique_lock<std::mutex>& lock)
    {
        if (std::exchange(turn_is_due_, true)) {
            lock.unlock();
            return;
        }
        const shared_reference<concurrent_home> keep(*this); // a turn that runs may end the last task now
        lock.unlock();
        post_turn(*this);
    }

    /// Lets a task take a step. Returns its strand, if it got one.
    static task_strand* run(task_node& task) noexcept
    {
        const task_strand::scope none;
        step(task);
        return task_strand::scope::made();
    }

    /// Lists a strand that was made in this turn, which then is busy with it no more. Under the lock.
    /** Returns the strand if the turn's reference is left over: it is not given up here, because it may be the last. */
    task_strand* list(task_strand& made, std::unique_lock<std::mutex>& lock) noexcept
    {
        if (closed_) {
            lock.unlock();
            made.end();
            lock.lock();
            return &made;
        }
        listed_.push_back(made);
        made.note_listed();
        if (made.leave())
            return &made;
        due_.push_back(made);
        return nullptr;
    }

    /// Returns the strand if there is more to be done.
    task_strand* run(task_strand& strand)
    {
        try {
            strand.run();
        } catch (...) {
            if (task_strand* const again = leave(strand)) {
                make_due(*again);
                again->release();
            }
            throw;
        }
        return leave(strand);
    }

    /// Gives up a strand that the turn is busy with, and the reference to it; or returns it, if more is to be done.
    static task_strand* leave(task_strand& strand) noexcept
    {
        if (!strand.leave())
            return &strand;
        strand.release();
        return nullptr;
    }

    /// Ends what is here no more: the executor is gone.
    static void end(due_queue::item what) noexcept
    {
        if (what.task)
            return what.task->end_executor_gone();
        what.strand->end();
        what.strand->release();
    }

    /// The executor refused a turn, so that nothing would move here any more: ends the tasks that count on it.
    /**
     * Those that were parked wait for the next one: their aborts come from where no task may end.
     *
     * @returns whether `except` was still there, which is not ended; else a turn that runs has taken it
     */
    bool forgo_turn(const task_node* except) noexcept
    {
        std::unique_lock lock(queue_mutex_);
        turn_is_due_ = false;
        due_queue due = std::move(due_);
        lock.unlock();
        bool found = false;
        while (!due.empty()) {
            const due_queue::item each = due.pop_front();
            if (each.strand ? each.strand->forgo_turn() : each.task->step_.settled)
                put_back(each);
            else if (each.strand)
                each.strand->release();
            else if (each.task == except)
                found = true;
            else
                each.task->end_executor_gone();
        }
        return found;
    }

    /// Puts what may not end now into the queue, for the next turn.
    void put_back(due_queue::item what) noexcept
    {
        std::unique_lock lock(queue_mutex_);
        if (closed_) {
            lock.unlock();
            end(what);
        } else if (what.task) {
            due_.push_back(*what.task);
        } else {
            due_.push_back(*what.strand);
        }
    }

    /// A strand, with a reference, that is listed no more; null if there is none.
    task_strand* take_listed() noexcept
    {
        const std::lock_guard lock(queue_mutex_);
        while (!listed_.empty()) {
            task_strand& strand = listed_.front();
            listed_.pop_front();
            if (strand.try_retain()) // else it is being destroyed, and waits for the lock
                return &strand;
        }
        return nullptr;
    }

    static bool is_listed(const task_strand& strand) noexcept
    {
        return static_cast<const boost::intrusive::list_base_hook<>&>(strand).is_linked();
    }

    const inside_function inside_;

    // under the lock, as `asleep_` is
    std::mutex queue_mutex_;
    due_queue due_;            // of the strands, each with a reference
    listed_strands listed_;    // all that there are, but for one that its turn is still busy with
    bool turn_is_due_ = false; // one was asked for, and has not begun
    bool closed_ = false;
};

inline thread_local constinit concurrent_home::turn_state* concurrent_home::turn_state::innermost = nullptr;

} // namespace joinery::detail
