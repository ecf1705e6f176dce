// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/completion_queue.hpp>
#include <joinery/detail/context_registry.hpp>
#include <joinery/detail/join_waiter.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_node.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/assert.hpp>
#include <boost/config.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <utility>

namespace joinery::detail {

/// The tasks of a set or map, from their end to their join, and who waits for them.
/**
 * A task is *listed* from its spawn to its join: it is in the index, which a derived class has. When it has ended it
 * comes through `done_`, and *arrives*: it is in `ready_` until it is joined. A task that is replaced or shut down
 * leaves the index at once, and is counted in `replaced_` until it arrives.
 *
 * All of this belongs to the owner, who needs no lock for it; unless a join waits, because then a task that ends wakes
 * it, on any thread, and it completes on the thread of its handler. So `mutex_` guards the owner's side while
 * `outstanding_` is not zero, and only the owner makes it so. An owner who never waits never locks.
 *
 * A task needs the state until it is freed. While the owner has yet to take it in, the owner's own reference stands for
 * it, so that most tasks are spawned and joined without counting; one that may be freed elsewhere gets a reference.
 *
 * Rejected: to leave the index to the thread on which a join completes (the owner may be spawning meanwhile), and a
 * lock for each call (two atomic operations for each task).
 */
class join_state : public context_member, public completion_sink {
public:
    /// Marks a stretch of code as the owner's. What it throws away is destroyed when it is over and nothing is locked.
    class section {
    public:
        BOOST_FORCEINLINE explicit section(join_state& state, bool always_lock = false)
            : state_(state)
            , locked_(always_lock || state.outstanding_.load(std::memory_order_acquire) != 0)
        {
            if (locked_) [[unlikely]]
                begin();
        }

        /// Takes over the lock, which the caller has.
        section(join_state& state, std::adopt_lock_t) noexcept
            : state_(state)
            , locked_(true)
        {
            ++state_.depth_;
        }

        BOOST_FORCEINLINE ~section()
        {
            if (locked_ || !state_.garbage_.empty()) [[unlikely]]
                end();
        }

        section(const section&) = delete;
        section& operator=(const section&) = delete;

    protected:
        join_state& state_;

    private:
        BOOST_NOINLINE void begin()
        {
            state_.mutex_.lock();
            ++state_.depth_;
        }

        BOOST_NOINLINE void end() noexcept
        {
            if (locked_ && state_.depth_ != 1) {
                --state_.depth_;
                state_.mutex_.unlock();
                return; // the rest is for the section around this one
            }
            task_list garbage = std::move(state_.garbage_);
            if (locked_) {
                state_.depth_ = 0;
                // The last word: the owner who reads that no join is outstanding locks no more.
                state_.outstanding_.fetch_sub(std::exchange(state_.over_, 0), std::memory_order_release);
                state_.mutex_.unlock();
            }
            // A result that is destroyed may be what held the state; but each task in the list holds it, too.
            while (!garbage.empty())
                state_.let_go(garbage.pop_front());
        }

        bool locked_;
    };

    /// A section in which a task is joined, or leaves the index: at its end, the joins that wait get what they wait for.
    class settling_section : public section {
    public:
        using section::section;

        ~settling_section()
        {
            state_.settle();
        }
    };

    /// The executor of the set or map. Empty when its context is gone.
    boost::asio::any_io_executor executor() const
    {
        const std::lock_guard lock(mutex_); // its context may be destroyed at this moment
        return executor_;
    }

    // -- asynchronous joins: see join_operation.hpp ------------------------------------------------------

    /// Adds a join that waits. The owner, in a locked section. @throws what posting throws; then it is over
    void add(join_waiter& waiter)
    {
        const bool is_due = is_due_at_once(waiter.kind);
        waiter.where = join_waiter::phase::waiting;
        waiting(waiter.kind).push_back(waiter);
        ++waiting_;
        outstanding_.fetch_add(1, std::memory_order_relaxed);
        if (is_due)
            send(waiter);
        settle();
    }

    /// Sends a join that still waits to its handler, without a result. In a locked section.
    void cancel(join_waiter& waiter) noexcept
    {
        waiter.cancelled = true;
        if (waiter.where == join_waiter::phase::waiting)
            wake(waiter);
    }

    /// Takes a join that still waits out of the list. In a locked section. Whether it was there.
    bool withdraw(join_waiter& waiter) noexcept
    {
        if (waiter.where != join_waiter::phase::waiting)
            return false;
        remove(waiter);
        finish(waiter);
        return true;
    }

    /// Takes note that a join completes, or never will. In a locked section.
    void finish(join_waiter& waiter) noexcept
    {
        if (waiter.where == join_waiter::phase::woken && waiter.kind == join_kind::next)
            --woken_;
        waiter.where = join_waiter::phase::over;
        ++over_;
    }

    /// Lets a join that was woken wait again: another took its task. In a locked section.
    void wait_again(join_waiter& waiter) noexcept
    {
        if (waiter.kind == join_kind::next)
            --woken_;
        waiter.where = join_waiter::phase::waiting;
        waiting(waiter.kind).push_front(waiter);
        ++waiting_;
    }

    /// Whether a join has what it waits for. In a section.
    bool is_due(join_kind kind)
    {
        if (ready_count_ == 0 || kind != join_kind::next)
            collect();
        switch (kind) {
        case join_kind::next:
            return ready_count_ != 0 || listed() == 0;
        case join_kind::all:
            return ready_count_ == listed();
        case join_kind::shutdown:
            return replaced_ == 0;
        }
        return true;
    }

    /// Whether a join that begins now need not wait, nor takes what another that began before is about to take.
    /** In a section. */
    bool is_due_at_once(join_kind kind)
    {
        if (kind != join_kind::next)
            return is_due(kind);
        if (ready_count_ == 0)
            collect();
        return ready_count_ > woken_ ? next_.empty() : ready_count_ == 0 && listed() == 0;
    }

    /// Counts a join that did not have to wait. False if others should get their turn before it. In a section.
    bool count_join_at_once() noexcept
    {
        constexpr int many = 256;
        if (joins_at_once_ == many) {
            joins_at_once_ = 0;
            return false;
        }
        ++joins_at_once_;
        return true;
    }

    bool is_closed() const noexcept
    {
        return closed_;
    }

    /// Wakes each join that has what it waits for, and sees to it that the next task that ends comes back here.
    /** In a locked section, or when no join waits. */
    void settle() noexcept
    {
        if (waiting_ != 0)
            wake_those_due();
    }

    // -- completion_sink ---------------------------------------------------------------------------------

    void completed(task_node& task) noexcept final
    {
        if (task.is_detached())
            return let_go(task);
        if (task.is_unwanted())
            drop_result(task);
        bool kept = false;
        const auto keep = [this, &kept] {
            if (!std::exchange(kept, true))
                retain(); // the task, once pushed, keeps nothing alive for this thread
        };
        switch (done_.push(task, keep)) {
        case completion_queue::pushed::queued:
            break;
        case completion_queue::pushed::closed:
            let_go(task);
            break;
        case completion_queue::pushed::wake:
            wake_joins();
            break;
        }
        if (kept)
            release();
    }

protected:
    explicit join_state(boost::asio::any_io_executor executor)
        : executor_(std::move(executor))
    {
        join_context(executor_);
    }

    ~join_state() override
    {
        BOOST_ASSERT(garbage_.empty() && unjoined_ == 0);
    }

    // -- what keeps the state alive ----------------------------------------------------------------------

    /// Takes note of a task that needs the state. In a section.
    void adopt_task() noexcept
    {
        ++unjoined_;
    }

    /// Takes note that a task, of which nobody will hear again, needs it no more. In a section.
    void drop_task() noexcept
    {
        --unjoined_;
    }

    /// Makes a task hold a reference of its own. In a section.
    void make_independent() noexcept
    {
        --unjoined_;
        retain();
    }

    /// Throws a task away when the section is over.
    void discard(task_node& task) noexcept
    {
        make_independent();
        garbage_.push_back(task);
    }

    /// The number of tasks in the index.
    virtual std::size_t listed() const noexcept = 0;

    /// Lets go of a task that nobody will join any more. A handle keeps the task, but not its result.
    void let_go(task_node& task) noexcept
    {
        if (task.is_shared())
            drop_result(task);
        task.release();
    }

    /// Destroys the result of a task that has ended and that nobody will join.
    virtual void drop_result(task_node& task) noexcept = 0;

    /// Takes the tasks that have ended since. In a section.
    void collect() noexcept
    {
        if (!done_.is_empty())
            take_ended();
    }

    /// The task that ended first, of those that are listed; null if there is none. It is out of `ready_`.
    task_node* take_ready() noexcept
    {
        if (ready_count_ == 0)
            collect();
        if (ready_count_ == 0)
            return nullptr;
        --ready_count_;
        for (;;) {
            task_node& task = ready_.pop_front();
            if (!ready_.empty())
                ready_.prefetch_second();
            if (task.membership_ == task_node::membership::listed_arrived)
                return &task;
            --stale_;
            discard(task);
        }
    }

    /// The task that `take_ready` will look at next, if it has arrived. It was brought in when the one before was taken.
    const task_node* ready_next() const noexcept
    {
        return ready_.front();
    }

    /// Takes note that a task is in the index no longer, but still to be waited for by a shutdown.
    void note_replaced(task_node& task) noexcept
    {
        if (task.membership_ == task_node::membership::listed) {
            task.membership_ = task_node::membership::replaced;
            ++replaced_;
        } else {
            note_dropped(task);
        }
    }

    /// Undoes `note_replaced`.
    void note_restored(task_node& task, task_node::membership role) noexcept
    {
        if (role == task_node::membership::listed) {
            --replaced_;
        } else {
            ++ready_count_;
            --stale_;
        }
        task.membership_ = role;
    }

    /// Takes note that a task is of no interest any more.
    void note_dropped(task_node& task) noexcept
    {
        if (task.membership_ == task_node::membership::listed_arrived) {
            --ready_count_;
            ++stale_;
        }
        task.membership_ = task_node::membership::none;
    }

    /// Frees tasks of no interest, when they have become many. Amortised constant.
    void sweep() noexcept
    {
        constexpr std::size_t few = 64;
        if (replaced_ > few && replaced_ > listed())
            collect();
        if (stale_ > few && stale_ > ready_count_)
            purge();
    }

    /// Frees the tasks of no interest that have arrived. Linear.
    void purge() noexcept
    {
        task_list kept;
        while (!ready_.empty()) {
            task_node& task = ready_.pop_front();
            if (task.membership_ == task_node::membership::none)
                discard(task);
            else
                kept.push_back(task);
        }
        ready_ = std::move(kept);
        stale_ = 0;
    }

    /// Cuts the set or map off from its tasks and its joins: what ends from now on is freed where it ends.
    void close() noexcept
    {
        closed_ = true;
        retain(std::exchange(unjoined_, 0)); // each holds a reference from now on
        task_list ended = done_.close();
        garbage_.append(std::move(ready_));
        garbage_.append(std::move(ended));
        ready_count_ = stale_ = replaced_ = 0;
        for (list* joins : {&next_, &all_, &shutdown_}) {
            while (!joins->empty())
                cancel(joins->front());
        }
    }

    task_list garbage_; // what the section destroys when it is over

private:
    using list = boost::intrusive::list<join_waiter>;

    /// In one pass, because with many tasks each look at one misses the cache.
    void take_ended() noexcept
    {
        task_list arrived;
        for (task_node* task = done_.take_stack(); task;) {
            task_node* const before = task->next_;
            if (arrives(*task))
                arrived.push_front(*task);
            task = before;
        }
        ready_.append(std::move(arrived));
    }

    /// Whether a task that has ended is to be joined; else it is thrown away.
    bool arrives(task_node& task) noexcept
    {
        switch (task.membership_) {
        case task_node::membership::listed:
            task.membership_ = task_node::membership::listed_arrived;
            ++ready_count_;
            return true;
        case task_node::membership::replaced:
            --replaced_;
            discard(task);
            return false;
        case task_node::membership::detached: // it ended while it was detached
            garbage_.push_back(task);
            return false;
        default:
            discard(task);
            return false;
        }
    }

    void remove(join_waiter& waiter) noexcept
    {
        waiting(waiter.kind).erase(list::s_iterator_to(waiter));
        --waiting_;
    }

    list& waiting(join_kind kind) noexcept
    {
        return kind == join_kind::next ? next_ : kind == join_kind::all ? all_ : shutdown_;
    }

    void wake_those_due() noexcept
    {
        do {
            collect();
            while (!next_.empty() && (listed() == 0 || ready_count_ > woken_))
                wake(next_.front());
            while (!all_.empty() && ready_count_ == listed())
                wake(all_.front());
            while (!shutdown_.empty() && replaced_ == 0)
                wake(shutdown_.front());
        } while (waiting_ != 0 && !done_.arm());
    }

    void wake(join_waiter& waiter) noexcept
    {
        try {
            send(waiter);
        } catch (...) {
            // Its executor refused the join, whose handler is destroyed by now.
        }
    }

    /// @throws what posting throws; then the join is over
    void send(join_waiter& waiter)
    {
        remove(waiter);
        waiter.where = join_waiter::phase::woken;
        if (waiter.kind == join_kind::next)
            ++woken_;
        waiter.post();
    }

    /// For a task that ended when a join waited, or had waited.
    void wake_joins() noexcept
    {
        mutex_.lock();
        if (outstanding_.load(std::memory_order_relaxed) == 0) {
            mutex_.unlock(); // the owner may be at work, without the lock
            return;
        }
        const settling_section locked(*this, std::adopt_lock);
    }

    void context_gone() noexcept override
    {
        const std::lock_guard lock(mutex_);
        executor_ = boost::asio::any_io_executor();
    }

    boost::asio::any_io_executor executor_;
    completion_queue done_;
    task_list ready_;             // tasks that have arrived, and some that are stale
    std::size_t ready_count_ = 0; // of these, the listed ones
    std::size_t stale_ = 0;       // … and the others
    std::size_t replaced_ = 0;    // tasks out of the index that have not arrived
    int joins_at_once_ = 0;       // since others had their turn
    std::size_t unjoined_ = 0;    // tasks that need the state, and for which the owner's reference stands
    bool closed_ = false;

    mutable std::recursive_mutex mutex_;      // an executor may run, or drop, what it is given on the spot
    std::atomic<std::size_t> outstanding_{0}; // joins that are not over, as the owner knows
    std::size_t over_ = 0;                    // … of which so many are over since this section began
    std::size_t depth_ = 0;                   // locked sections within each other
    std::size_t waiting_ = 0;                 // joins that wait
    list next_;                               // … by what they wait for
    list all_;
    list shutdown_;
    std::size_t woken_ = 0; // joins for a next task that are on their way
};

} // namespace joinery::detail
