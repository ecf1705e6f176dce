// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/completion_queue.hpp>
#include <joinery/detail/context_registry.hpp>
#include <joinery/detail/join_waiter.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_node.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/assert.hpp>
#include <boost/config.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

namespace joinery::detail {

/// What a set or map does with its tasks beyond joining them: see lifecycle.hpp. Guarded by the state's lock.
class join_extension {
public:
    virtual ~join_extension() = default;

    /// A task of the set or map has ended. In a section.
    virtual void arrived(task_node& task) noexcept = 0;

    /// Does what has become possible. In a locked section.
    virtual void settle() noexcept = 0;

    /// The set or map is destroyed. In a locked section.
    virtual void close() noexcept = 0;

    /// The execution context of the set or map is destroyed. In a locked section.
    virtual void context_gone() noexcept = 0;
};

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
            join_waiter* proceeds = nullptr;
            bool is_awaited = false;
            if (locked_) {
                proceeds = std::exchange(state_.proceeds_, nullptr);
                is_awaited = state_.is_scoped_ && !garbage.empty();
                if (is_awaited)
                    state_.discarding_begins();
                state_.depth_ = 0;
                // The last word: the owner who reads that no join is outstanding locks no more.
                if (state_.over_ != 0)
                    state_.outstanding_.fetch_sub(std::exchange(state_.over_, 0), std::memory_order_release);
                state_.mutex_.unlock();
            }
            // A result that is destroyed may be what held the state; but each task in the list holds it, too.
            while (!garbage.empty())
                state_.let_go(garbage.pop_front());
            if (is_awaited)
                state_.discarding_ends();
            if (proceeds)
                proceeds->proceed();
        }

        bool locked_;
    };

    /// A section in which a task is joined, or leaves the index: at its end, the joins that wait get what they wait for.
    class settling_section : public section {
    public:
        using section::section;

        BOOST_FORCEINLINE ~settling_section()
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
        const bool is_due = waiter.kind == join_kind::special ? waiter.is_special_due() : is_due_at_once(waiter.kind);
        waiter.where = join_waiter::phase::waiting;
        waiting(waiter).push_back(waiter);
        ++waiting_;
        outstanding_.fetch_add(1, std::memory_order_relaxed);
        if (is_due)
            send(waiter);
        settle();
    }

    /// Adds a join that does not wait, but is on its way to look what there is. The owner, in a locked section.
    void add_on_its_way(join_waiter& waiter) noexcept
    {
        outstanding_.fetch_add(1, std::memory_order_relaxed);
        waiter.where = join_waiter::phase::woken;
        count_woken(waiter, 1);
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
        if (waiter.where == join_waiter::phase::woken)
            count_woken(waiter, -1);
        waiter.where = join_waiter::phase::over;
        ++over_;
        if (waiter.kind == join_kind::special)
            waiter.special_over();
    }

    /// Lets a join that was woken wait again: another took its task. In a locked section.
    void wait_again(join_waiter& waiter) noexcept
    {
        count_woken(waiter, -1);
        waiter.where = join_waiter::phase::waiting;
        waiting(waiter).push_front(waiter);
        ++waiting_;
    }

    /// Whether a join has what it waits for. In a section.
    bool is_due(join_waiter& waiter)
    {
        return waiter.kind == join_kind::special ? waiter.is_special_due() : is_due(waiter.kind);
    }

    bool is_due(join_kind kind)
    {
        if (ready_count_ == 0 || !takes_next(kind))
            collect();
        switch (kind) {
        case join_kind::next:
        case join_kind::until_closed:
            return ready_count_ != 0 || has_run_dry(kind);
        case join_kind::all:
            return ready_count_ == listed() - reserved_;
        case join_kind::shutdown:
            return replaced_ == 0;
        case join_kind::drained:
            return ready_count_ != 0 || is_drained();
        case join_kind::special:
            break;
        }
        return true;
    }

    /// Whether a join that begins now need not wait, nor takes what another that began before is about to take.
    /** In a section. */
    bool is_due_at_once(join_kind kind)
    {
        if (!takes_next(kind))
            return is_due(kind);
        if (ready_count_ == 0)
            collect();
        if (ready_count_ > woken_) [[likely]]
            return waiting_ == 0 || (next_.empty() && until_closed_.empty());
        return ready_count_ == 0 && has_run_dry(kind);
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

    /// Whether joins have been woken for a next task, and have not taken it. In a section.
    bool has_joins_on_their_way() const noexcept
    {
        return woken_ != 0;
    }

    /// The number of tasks that were replaced and have not ended. In a section.
    std::size_t replaced() const noexcept
    {
        return replaced_;
    }

    /// Whether the set or map is closed and empty.
    bool has_run_dry() const
    {
        const section locked(const_cast<join_state&>(*this), true);
        return closed_ || has_run_dry(join_kind::until_closed);
    }

    /// Takes note of the tasks that have ended since. In a section.
    void bring_up_to_date() noexcept
    {
        collect();
    }

    /// Whether no more tasks may be spawned.
    bool is_sealed() const noexcept
    {
        return sealed_;
    }

    /// Whether a spawn has more to heed than that a key may be in use. In a section.
    bool has_rules() const noexcept
    {
        return has_rules_;
    }

    /// The number of tasks that have not ended, as far as the owner knows. In a section.
    std::size_t active() const noexcept
    {
        return listed() + replaced_ - ready_count_ - reserved_ended_;
    }

    /// The same, with those that were detached and that others depend on.
    std::size_t unended() const noexcept
    {
        return active() + forgotten_;
    }

    /// Reserves a listed task for certain joins: those that take the next one pass it by. In a section.
    void reserve(task_node& task) noexcept
    {
        ++reserved_;
        if (task.membership_ == task_node::membership::listed) {
            task.membership_ = task_node::membership::reserved;
            return;
        }
        task.membership_ = task_node::membership::reserved_ready;
        --ready_count_;
        ++reserved_ended_;
    }

    static bool has_arrived(const task_node& task) noexcept
    {
        return task.membership_ == task_node::membership::listed_arrived;
    }

    /// Whether a task that arrives at this moment is to be joined.
    static bool is_listed(const task_node& task) noexcept
    {
        return task.membership_ == task_node::membership::listed;
    }

    static bool is_reserved_ended(const task_node& task) noexcept
    {
        return task.membership_ == task_node::membership::reserved_ready;
    }

    /// Undoes that. In a section.
    void unreserve(task_node& task) noexcept
    {
        --reserved_;
        if (task.membership_ == task_node::membership::reserved) {
            task.membership_ = task_node::membership::listed;
            return;
        }
        --reserved_ended_;
        ++ready_count_;
        if (task.membership_ == task_node::membership::reserved_ended)
            ready_.push_back(task);
        task.membership_ = task_node::membership::listed_arrived;
    }

    /// Wakes every join in a list. In a locked section.
    void wake_all(boost::intrusive::list<join_waiter>& joins) noexcept
    {
        while (!joins.empty())
            wake(joins.front());
    }

    void cancel_all(boost::intrusive::list<join_waiter>& joins) noexcept
    {
        while (!joins.empty())
            cancel(joins.front());
    }

    /// Wakes a join that waits. In a locked section.
    void wake(join_waiter& waiter) noexcept
    {
        try {
            send(waiter);
        } catch (...) {
            // Its executor refused the join, whose handler is destroyed by now.
        }
    }

    /// Counts as a join that is never over, for those who use the set or map beside its owner. The owner, or under the lock.
    void add_user() noexcept
    {
        const section locked(*this, true);
        outstanding_.fetch_add(1, std::memory_order_relaxed);
    }

    void remove_user() noexcept
    {
        const section locked(*this, true);
        ++over_;
    }

    /// Asks the tasks to come to an end by themselves, through their stop tokens. In a section.
    void request_stop()
    {
        std::unique_lock lock(mutex_);
        if (!stop_.stop_possible())
            stop_ = std::stop_source();
        std::stop_source stop = stop_;
        lock.unlock();
        stop.request_stop();
    }

    /// Aborts every task that is listed. In a section. Returns how many were told.
    virtual std::size_t abort_all(cancel_reason reason) noexcept = 0;

    /// Takes note that the extension needs to `settle` when a task ends. In a locked section.
    void extension_waits() noexcept
    {
        ++waiting_;
        outstanding_.fetch_add(1, std::memory_order_relaxed);
    }

    void extension_waits_no_more() noexcept
    {
        --waiting_;
        ++over_;
    }

    // -- what a scope needs: see await_scope.hpp -----------------------------------------------------------

    /// Has what is thrown away counted until it is destroyed, because the scope waits for that, too.
    void set_scoped() noexcept
    {
        is_scoped_ = true;
    }

    /// Whether every task has ended, and nothing of any is left. In a section, after a `collect`.
    bool is_drained() const noexcept
    {
        return listed() == 0 && replaced_ == 0 && discarding_ == 0;
    }

    /// Has a waiter proceed at the end of the section, which is a locked one.
    void proceed_after(join_waiter& waiter) noexcept
    {
        proceeds_ = &waiter;
    }

    /// Lets a waiter that proceeds wait for the next task that ends. False if one has. In a locked section.
    bool wait_for_more(join_waiter& waiter) noexcept
    {
        wait_again(waiter);
        settle();
        if (waiter.where == join_waiter::phase::waiting)
            return true;
        proceeds_ = nullptr;
        return false;
    }

    /// Wakes each join that has what it waits for, and sees to it that the next task that ends comes back here.
    /** In a locked section, or when no join waits. */
    void settle() noexcept
    {
        if (waiting_ != 0)
            wake_those_due();
    }

    // -- completion_sink ---------------------------------------------------------------------------------

    std::stop_token stop_token() final
    {
        const std::lock_guard lock(mutex_);
        if (!stop_.stop_possible())
            stop_ = std::stop_source();
        return stop_.get_token();
    }

    void completed(task_node& task) noexcept final
    {
        if (!task.is_wanted() || !done_.push_unnoticed(task)) [[unlikely]]
            notice(task);
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

    void set_rules(bool has_rules) noexcept
    {
        has_rules_ = has_rules;
    }

    /// Lets no more tasks be spawned. In a settling section.
    void seal() noexcept
    {
        sealed_ = true;
        has_rules_ = true;
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
            if (task.membership_ == task_node::membership::listed_arrived) [[likely]]
                return &task;
            skip(task);
        }
    }

    /// Takes note of a task in `ready_` that is not there for whoever joins next.
    BOOST_NOINLINE void skip(task_node& task) noexcept
    {
        if (passes_by(task))
            return;
        --stale_;
        discard(task);
    }

    /// Takes note that a reserved task has been taken. Whether it is to be thrown away, in which case it is still in `ready_`.
    bool note_reserved_taken(task_node& task) noexcept
    {
        --reserved_;
        --reserved_ended_;
        const bool is_ready = task.membership_ == task_node::membership::reserved_ready;
        task.membership_ = task_node::membership::none;
        if (is_ready)
            ++stale_;
        return is_ready;
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

    /// Takes note that a listed task is waited for no more, but still to be heard of when it ends.
    void note_forgotten(task_node& task) noexcept
    {
        task.membership_ = task_node::membership::forgotten;
        ++forgotten_;
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
        if (replaced_ + forgotten_ > few && replaced_ + forgotten_ > listed())
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
            else if (!passes_by(task))
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
        ready_count_ = stale_ = replaced_ = forgotten_ = 0;
        for (list* joins : {&next_, &until_closed_, &all_, &shutdown_, &drained_})
            cancel_all(*joins);
        if (extension_)
            extension_->close();
    }

    task_list garbage_;                         // what the section destroys when it is over
    std::unique_ptr<join_extension> extension_; // once there is something for it to do

private:
    using list = boost::intrusive::list<join_waiter>;

    /// Whether a join takes the next task that has ended.
    static bool takes_next(join_kind kind) noexcept
    {
        return kind == join_kind::next || kind == join_kind::until_closed;
    }

    /// Whether a join that takes the next task is told that there is none.
    bool has_run_dry(join_kind kind) const noexcept
    {
        return listed() == 0 && (kind == join_kind::next || sealed_);
    }

    /// Takes a reserved task, which was in `ready_`, out of it for good. Whether it was one.
    static bool passes_by(task_node& task) noexcept
    {
        if (task.membership_ != task_node::membership::reserved_ready)
            return false;
        task.membership_ = task_node::membership::reserved_ended;
        return true;
    }

    /// The end of a task that nobody will join, or that somebody waits for.
    BOOST_NOINLINE void notice(task_node& task) noexcept
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

    /// In one pass, because with many tasks each look at one misses the cache.
    void take_ended() noexcept
    {
        join_extension* const extension = extension_.get();
        task_list arrived;
        std::size_t count = 0;
        for (task_node* task = done_.take_stack(); task;) {
            task_node* const before = task->next_;
            if (extension) [[unlikely]]
                extension->arrived(*task);
            if (task->membership_ == task_node::membership::listed) [[likely]] {
                task->membership_ = task_node::membership::listed_arrived;
                ++count;
                arrived.push_front(*task);
            } else {
                set_aside(*task);
            }
            task = before;
        }
        ready_count_ += count;
        ready_.append(std::move(arrived));
    }

    /// Takes note of a task that has ended and that is not there for whoever joins next.
    BOOST_NOINLINE void set_aside(task_node& task) noexcept
    {
        switch (task.membership_) {
        case task_node::membership::reserved:
            task.membership_ = task_node::membership::reserved_ended;
            ++reserved_ended_;
            return;
        case task_node::membership::detached: // it ended while it was detached
            garbage_.push_back(task);
            return;
        case task_node::membership::replaced:
            --replaced_;
            break;
        case task_node::membership::forgotten:
            --forgotten_;
            break;
        default:
            break;
        }
        discard(task);
    }

    void count_woken(const join_waiter& waiter, int change) noexcept
    {
        std::size_t* const count = takes_next(waiter.kind) ? &woken_ : waiter.woken;
        if (count)
            *count += static_cast<std::size_t>(change);
    }

    void remove(join_waiter& waiter) noexcept
    {
        waiting(waiter).erase(list::s_iterator_to(waiter));
        --waiting_;
    }

    list& waiting(join_waiter& waiter) noexcept
    {
        switch (waiter.kind) {
        case join_kind::next:
            return next_;
        case join_kind::until_closed:
            return until_closed_;
        case join_kind::all:
            return all_;
        case join_kind::shutdown:
            return shutdown_;
        case join_kind::drained:
            return drained_;
        case join_kind::special:
            break;
        }
        return *waiter.list;
    }

    BOOST_NOINLINE void wake_those_due() noexcept
    {
        do {
            collect();
            while (!next_.empty() && (listed() == 0 || ready_count_ > woken_))
                wake(next_.front());
            while (!until_closed_.empty() && (has_run_dry(join_kind::until_closed) || ready_count_ > woken_))
                wake(until_closed_.front());
            while (!all_.empty() && ready_count_ == listed() - reserved_)
                wake(all_.front());
            while (!shutdown_.empty() && replaced_ == 0)
                wake(shutdown_.front());
            if (extension_)
                extension_->settle();
            while (!drained_.empty() && is_due(join_kind::drained))
                wake(drained_.front());
        } while (waiting_ != 0 && !closed_ && !done_.arm());
    }

    /// @throws what posting throws; then the join is over
    void send(join_waiter& waiter)
    {
        remove(waiter);
        waiter.where = join_waiter::phase::woken;
        count_woken(waiter, 1);
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
        for (list* const joins : {&all_, &shutdown_}) {
            if (!joins->empty() && joins->front().looks_again())
                wake(joins->front()); // or each task that ends before its turn would come here
        }
    }

    /// Keeps the state until `discarding_ends`. Under the lock.
    void discarding_begins() noexcept
    {
        ++discarding_;
        retain();
    }

    void discarding_ends() noexcept
    {
        mutex_.lock();
        --discarding_;
        if (outstanding_.load(std::memory_order_relaxed) == 0)
            mutex_.unlock(); // the owner may be at work, without the lock
        else
            const settling_section locked(*this, std::adopt_lock);
        release();
    }

    void context_gone() noexcept override
    {
        const shared_reference<shared_object> keep(*this); // the last task may end here
        mutex_.lock();
        executor_ = boost::asio::any_io_executor();
        if (outstanding_.load(std::memory_order_relaxed) == 0) {
            mutex_.unlock(); // no task waits, and the owner may be at work, without the lock
            return;
        }
        const settling_section locked(*this, std::adopt_lock);
        if (extension_)
            extension_->context_gone();
    }

    boost::asio::any_io_executor executor_;
    completion_queue done_;
    task_list ready_;                // tasks that have arrived, and some that are stale
    std::size_t ready_count_ = 0;    // of these, the listed ones
    std::size_t stale_ = 0;          // … and the others
    std::size_t replaced_ = 0;       // tasks out of the index that have not arrived
    std::size_t forgotten_ = 0;      // tasks that were detached, have not arrived, and that others depend on
    std::size_t reserved_ = 0;       // listed tasks that are kept for certain joins
    std::size_t reserved_ended_ = 0; // … and have arrived
    int joins_at_once_ = 0;          // since others had their turn
    std::size_t unjoined_ = 0;       // tasks that need the state, and for which the owner's reference stands
    bool closed_ = false;
    bool sealed_ = false;    // no more tasks may be spawned
    bool has_rules_ = false; // … or there is more to heed in a spawn

    std::stop_source stop_{std::nostopstate}; // once a task has asked for its token; under the lock

    mutable std::recursive_mutex mutex_;      // an executor may run, or drop, what it is given on the spot
    std::atomic<std::size_t> outstanding_{0}; // joins that are not over, as the owner knows
    std::size_t over_ = 0;                    // … of which so many are over since this section began
    std::size_t depth_ = 0;                   // locked sections within each other
    std::size_t waiting_ = 0;                 // joins that wait
    list next_;                               // … by what they wait for
    list until_closed_;
    list all_;
    list shutdown_;
    list drained_;
    std::size_t woken_ = 0; // joins for a next task that are on their way

    bool is_scoped_ = false;          // it is the set or map of a scope
    std::size_t discarding_ = 0;      // threads that destroy what was thrown away in the sections of a scope
    join_waiter* proceeds_ = nullptr; // at the end of this section
};

} // namespace joinery::detail
