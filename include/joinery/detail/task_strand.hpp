// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/block_cache.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/queued_function.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/strand_owner.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/slist_hook.hpp>

#include <atomic>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// The serial order of one task of a `concurrent_home` that waits for operations: its last home.
/**
 * What is to happen in that order: a step of the task, an abort to be received, functions to be called that came
 * through the strand's executor. `state_` says which of these there are, and whether someone is `busy` with the
 * strand: whoever turns that flag on has the strand to himself until he turns it off, and nothing else is set while
 * it is off. That is
 *
 * - a turn of the `concurrent_home`. Who brings something to an idle strand turns the flag on and puts the strand
 *   into the queue for a turn, both under the home's lock. So the end of the home finds each strand in the queue, or
 *   idle, and nobody who comes from outside, such as an abort, is ever left with what others bring meanwhile;
 * - the turn in which the task first waits, and the strand is made: so the operation begins at once;
 * - a thread of the same executor that brings a function, and finds the strand idle: it calls the function on the
 *   spot;
 * - when the home has ended: who ends it, and then, should the task's operation go on, who brings its end.
 *
 * Memory orders: who brings something writes it down (`ready_`, `aborted_`, a function in `came_`) and then sets its
 * bit with a read-modify-write of `state_` that releases; who is busy takes the bits with one that acquires, so he
 * sees what they stand for. All writes of `state_` are read-modify-writes, so they have one order, and each continues
 * the release sequences of those before it. One that turns `busy` off is a compare-exchange from "nothing has come",
 * releases what was done in the strand's order, and the one that next turns `busy` on acquires it. Who reads that
 * nobody is busy may be out of date, and looks again in the read-modify-write under the lock. No other variable takes
 * part in the decision but the home's `closed_`, which the lock orders, so nothing needs to be sequentially
 * consistent. Each bit has at most one bringer at a time (a task is in one queue, and is told of its abort once), but
 * for that of the functions, which have a stack.
 *
 * Rejected: an `asio::strand` with a `serial_home` on it. They took 15 allocations and 690 bytes a task; each time
 * that an idle one was entered, a post to the executor.
 */
class task_strand final : public shared_object,
                          public home,
                          public boost::intrusive::slist_base_hook<>, // of the strands that are due
                          public boost::intrusive::list_base_hook<> { // of all, for the end of their home
public:
    // Strands come and go with tasks, so they are kept where the blocks of tasks are.
    static void* operator new(std::size_t size)
    {
        return block_cache::allocate(size);
    }

    static void operator delete(void* memory, std::size_t size) noexcept
    {
        block_cache::deallocate(memory, size);
    }

    /// Makes a strand with which the calling turn is busy, and has a reference to. The caller has another.
    static task_strand& make_entered(strand_owner& all)
    {
        task_strand& made = *new task_strand(all);
        made.retain();
        current_ = &made;
        return made;
    }

    // -- home --------------------------------------------------------------------------------------------

    void schedule(task_node& task) noexcept override
    {
        ready_ = &task;
        if (bring(step_due))
            return;
        // The home has ended. If another is busy with that, he will see the task.
        const shared_reference<task_strand> keep(*this);
        if (claim(step_due))
            end();
    }

    void schedule_parked(task_node& task) noexcept override
    {
        ready_ = &task;
        bring(join_due);
    }

    void deliver_abort(task_node& task) noexcept override
    {
        task.retain();
        aborted_ = &task;
        if (!bring(abort_due))
            task.release(); // it has ended, or is about to
    }

    bool takes_parked() const noexcept override
    {
        return true;
    }

    void end_turn() noexcept override
    {
        all_.end_turn();
    }

    bool inside() const noexcept override
    {
        return current_ == this;
    }

    boost::asio::any_io_executor executor() override;

    /// A strand is for one task.
    home& for_children() noexcept override
    {
        return all_;
    }

    bool start_timer(timer_node& node) override
    {
        return all_.start_timer(node);
    }

    bool stop_timer(timer_node& node) noexcept override
    {
        return all_.stop_timer(node);
    }

    /// A join that waits in a set's list is no operation of Asio's, which would count as work.
    void operation_began() noexcept override
    {
        if (!parked_)
            return;
        counts_ = true;
        all_.work_began();
    }

    void operation_ended() noexcept override
    {
        if (std::exchange(counts_, false))
            all_.work_ended();
    }

    // -- its executor ------------------------------------------------------------------------------------

    /// Calls a function in the strand's order; within this call, if that is possible and `Dispatches` allows it.
    template<bool Dispatches, class F>
    void execute(F&& function)
    {
        if constexpr (Dispatches) {
            if (inside() || enter_here()) {
                const entry in(*this);
                std::decay_t<F> owned(std::forward<F>(function));
                return std::move(owned)();
            }
        }
        came_.push(queued_function::make(std::forward<F>(function)));
        if (!bring(functions_due))
            came_.take(); // and destroy them
    }

    strand_owner& owner() const noexcept
    {
        return all_;
    }

    // -- the concurrent home: who calls these is busy with the strand, and has a reference -----------------

    /// Does what is to be done, but not for ever. @throws what a function throws
    void run()
    {
        const scope in(this);
        const unsigned due = take_due();
        if (due & end_due) {
            state_.fetch_or(due, std::memory_order_acq_rel); // for who puts the strand into its home's queue
            return;
        }
        if (due & abort_due) {
            receive_abort(*aborted_);
            aborted_->release();
        }
        if (due & (step_due | join_due))
            step(*ready_);
        for (int calls = 0; calls != steps_per_turn && !functions_.empty(); ++calls)
            functions_.pop_front().call();
    }

    /// Takes note that the end of the home will find the strand. In the turn in which it was made.
    void note_listed() noexcept
    {
        is_listed_ = true;
    }

    /// Is busy no more. False if there is something to be done: then the caller still is.
    bool leave() noexcept
    {
        unsigned nothing = busy;
        return functions_.empty() && state_.compare_exchange_strong(nothing, 0, std::memory_order_acq_rel);
    }

    /// Ends what is here, and cancels the operation that the task waits for, if any: the executor is gone.
    void end() noexcept
    {
        do {
            const unsigned due = take_due();
            discard_functions();
            if (due & (step_due | join_due))
                ready_->end_executor_gone();
            if (due & abort_due)
                aborted_->release();           // it has ended, or is about to
            parked_link::end_all(operations_); // an end that comes from within this call is a step that is due
            endless_sleep::end_all(asleep_);
            if (parked_) {
                parked_link::end_all(parked_);
                // The join of a task that has ended may have been woken a moment before.
                state_.fetch_and(~join_due, std::memory_order_acq_rel);
            }
        } while (!leave());
    }

    /// Ends what counts on a turn that the executor refused. Whether something is left that waits for the next one.
    /** An abort and a join do: they are brought from where no task may end. */
    bool forgo_turn() noexcept
    {
        unsigned left = 0;
        for (;;) {
            const unsigned due = take_due();
            left |= due & (abort_due | join_due | end_due);
            discard_functions(); // which may bring a step
            if (due & step_due)
                ready_->end_executor_gone();
            else if (left == 0 ? leave() : !has_come(step_due))
                break;
        }
        if (left == 0)
            return false;
        state_.fetch_or(left, std::memory_order_acq_rel);
        return true;
    }

    /// Notes something in the state. Whether the strand was idle, and the caller is busy with it from now on.
    bool claim(unsigned what) noexcept
    {
        return (state_.fetch_or(what | busy, std::memory_order_acq_rel) & busy) == 0;
    }

    /// Ends what is here, unless another is busy with the strand, who then does: the home has ended. The caller has a
    /// reference.
    void home_ended() noexcept
    {
        if (claim(end_due))
            end();
    }

    /// The strand that a turn is busy with; none inside of the scope.
    class scope {
    public:
        explicit scope(task_strand* now = nullptr) noexcept
            : before_(std::exchange(current_, now))
        {
        }

        ~scope()
        {
            current_ = before_;
        }

        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;

        /// The strand that was made and entered here, if any.
        static task_strand* made() noexcept
        {
            return current_;
        }

    private:
        task_strand* before_;
    };

private:
    static constexpr unsigned busy = 1;
    static constexpr unsigned step_due = 2;
    static constexpr unsigned join_due = 4; // a step of a task that was parked
    static constexpr unsigned abort_due = 8;
    static constexpr unsigned functions_due = 16;
    static constexpr unsigned end_due = 32; // the home has ended, and nobody looks for what is parked

    /// A call of a function on the spot, by a thread that was inside, or has just entered.
    class entry {
    public:
        explicit entry(task_strand& strand) noexcept
            : strand_(strand)
            , before_(std::exchange(current_, &strand))
        {
        }

        ~entry()
        {
            current_ = before_;
            if (before_ != strand_.get() && !strand_->leave())
                strand_->all_.make_due(*strand_);
        }

        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;

    private:
        const shared_reference<task_strand> strand_;
        task_strand* before_;
    };

    explicit task_strand(strand_owner& all) noexcept
        : home(static_cast<shared_object&>(*this))
        , all_(all)
    {
        all_.retain();
    }

    ~task_strand() override
    {
        task_strand::operation_ended(); // the home ended, and with it the task in its join
        if (is_listed_)
            all_.unlist(*this);
        all_.release();
    }

    /// Takes note that something has come. False if nobody will see to it: the home has ended.
    /** The strand may be gone when this returns, unless the caller keeps it. */
    bool bring(unsigned what) noexcept
    {
        unsigned now = state_.load(std::memory_order_relaxed);
        while (now & busy) {
            if (state_.compare_exchange_weak(now, now | what, std::memory_order_acq_rel, std::memory_order_relaxed))
                return true;
        }
        return all_.bring(*this, what);
    }

    bool has_come(unsigned what) const noexcept
    {
        return (state_.load(std::memory_order_acquire) & what) != 0;
    }

    unsigned take_due() noexcept
    {
        const unsigned due = state_.exchange(busy, std::memory_order_acq_rel);
        if (due & functions_due)
            functions_.append(came_.take());
        return due;
    }

    void discard_functions() noexcept
    {
        while (!functions_.empty())
            functions_.pop_front().discard();
    }

    /// Becomes busy with an idle strand, if this thread is one of the executor's.
    bool enter_here() noexcept
    {
        unsigned idle = 0;
        return state_.load(std::memory_order_relaxed) == idle && all_.runs_here() &&
               state_.compare_exchange_strong(idle, busy, std::memory_order_acq_rel);
    }

    inline static constinit thread_local task_strand* current_ = nullptr; // that this thread is busy with

    std::atomic<unsigned> state_{busy};
    bool is_listed_ = false; // or was, until the home ended; written by the turn in which the strand was made
    bool counts_ = false;    // as work, for the sake of its task's join; in the strand's order
    strand_owner& all_;      // owned

    task_node* ready_ = nullptr;   // to take a step
    task_node* aborted_ = nullptr; // to receive its abort, with a reference
    function_stack came_;
    function_list functions_; // of those that have come; in the strand's order
};

} // namespace joinery::detail
