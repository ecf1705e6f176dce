// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/task_id.hpp>

#include <boost/assert.hpp>
#include <boost/config.hpp>

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <stop_token>

namespace joinery::detail {

class suspension;
class task_node;

/// Where a task goes when it has ended.
class completion_sink {
public:
    /// Takes over the task's own reference. Any thread.
    virtual void completed(task_node& task) noexcept = 0;

    /// Destroys the task's result and frees its block: nothing refers to it any more. Any thread.
    virtual void dispose(task_node& task) noexcept = 0;

    /// The task was asked to end, for the first time. Any thread.
    virtual void abort_told() noexcept
    {
    }

    /// What asks the task to come to an end by itself. Any thread. @throws std::bad_alloc
    virtual std::stop_token stop_token()
    {
        return {};
    }

protected:
    ~completion_sink() = default;
};

enum class outcome : std::uint8_t { none, value, exception, cancelled };

/// What the coroutine of a task waits for, as far as others may see.
enum class wait_kind : std::uint8_t { operation, timer, turn, join, awaitable, abort, scope, limit };

/// Written by one thread at a time, and looked at by others, who may be out of date.
template<class T>
class relaxed {
public:
    constexpr relaxed(T value) noexcept
        : value_(value)
    {
    }

    T get() const noexcept
    {
        return value_.load(std::memory_order_relaxed);
    }

    operator T() const noexcept
    {
        return get();
    }

    relaxed& operator=(T value) noexcept
    {
        value_.store(value, std::memory_order_relaxed);
        return *this;
    }

private:
    std::atomic<T> value_;
};

/// Everything about a task but its code and its result.
/**
 * One block of memory holds the room for the result, the node, and the coroutine's frame, in that order, so
 * that the frame stands at a fixed distance from the node whatever the type of the result. The frame is
 * destroyed when the task ends; the block stays until the task is joined and the last handle is gone.
 *
 * Three parties write to a node, each to fields of its own, so that none needs a lock:
 *
 * - *anyone*: `flags_` (aborted, with its reason; detached; unwanted) and `references_`, both atomic;
 * - *the home*, in its serial order: `step_`, `holds_`, `waiting_`, `home_`, and `outcome_` once, to publish the end;
 * - *the owner* of the set or map: `membership_`, `is_kept_back_`, and `slot_`, which never changes after the spawn.
 *
 * `next_` belongs to the one queue that the task is in: its home's, or, after its end, its set's.
 *
 * Rejected: a flag that says whether the task is suspended at this moment, so that an abort need not tell
 * the home of a task that runs. It would cost two atomic operations for each operation that a task waits
 * for; `addressed` costs one in a task's life, and nothing for a task that never waits.
 */
class alignas(16) task_node {
public:
    task_node() noexcept = default;
    task_node(const task_node&) = delete;
    task_node& operator=(const task_node&) = delete;

    // -- its place in memory -----------------------------------------------------------------------------

    static task_node& of_frame(void* frame) noexcept
    {
        return *std::launder(reinterpret_cast<task_node*>(static_cast<std::byte*>(frame) - sizeof(task_node)));
    }

    std::coroutine_handle<> frame() noexcept
    {
        return std::coroutine_handle<>::from_address(reinterpret_cast<std::byte*>(this) + sizeof(task_node));
    }

    // -- identity ----------------------------------------------------------------------------------------

    /// Makes a node of a block whose coroutine nobody else knows. It has two references: its own, and a handle's.
    void spawned(completion_sink& sink, home& where, bool owns_home, std::uint64_t number) noexcept
    {
        sink_ = &sink;
        home_ = &where;
        step_.owns_home = owns_home;
        number_ = number;
        references_.store(2, std::memory_order_relaxed);
    }

    /// Undoes `spawned`, for a task that no one took.
    void not_spawned() noexcept
    {
        release_home();
        references_.store(0, std::memory_order_relaxed);
    }

    task_id id() const noexcept
    {
        return task_id(number_, slot_);
    }

    std::uint64_t number() const noexcept
    {
        return number_;
    }

    static std::uint32_t slot_of(task_id id) noexcept
    {
        return id.slot_;
    }

    // -- references --------------------------------------------------------------------------------------

    bool is_spawned() const noexcept
    {
        return references_.load(std::memory_order_relaxed) != 0;
    }

    void retain() noexcept
    {
        references_.fetch_add(1, std::memory_order_relaxed);
    }

    /// Whether someone else has a reference, or had one a moment ago.
    bool is_shared() const noexcept
    {
        return references_.load(std::memory_order_acquire) != 1;
    }

    void release() noexcept
    {
        // A sole owner need not tell anyone: most tasks are joined with no handle left.
        if (references_.load(std::memory_order_acquire) == 1 ||
            references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            sink_->dispose(*this);
    }

    /// Lets another be told to dispose of the task, which has ended. Who has a reference of the task.
    void dispose_by(completion_sink& sink) noexcept
    {
        sink_ = &sink;
    }

    // -- abort and detachment: any thread ----------------------------------------------------------------

    bool abort_requested() const noexcept
    {
        return (flags_.load(std::memory_order_acquire) & aborted) != 0;
    }

    /// Whether an abort ends the task when it next waits: there was one, and nothing holds it back.
    /** In the home's serial order. */
    bool must_end() const noexcept
    {
        return abort_requested() && holds_ == 0;
    }

    cancel_reason reason() const noexcept
    {
        return static_cast<cancel_reason>((flags_.load(std::memory_order_acquire) & reason_mask) >> reason_shift);
    }

    bool is_detached() const noexcept
    {
        return (flags_.load(std::memory_order_acquire) & detached) != 0;
    }

    void detach() noexcept
    {
        flags_.fetch_or(detached, std::memory_order_acq_rel);
    }

    /// Whether nobody will join the task, though its end is waited for.
    bool is_unwanted() const noexcept
    {
        return (flags_.load(std::memory_order_acquire) & unwanted) != 0;
    }

    /// Whether somebody may join the task.
    bool is_wanted() const noexcept
    {
        return (flags_.load(std::memory_order_acquire) & (detached | unwanted)) == 0;
    }

    void mark_unwanted() noexcept
    {
        flags_.fetch_or(unwanted, std::memory_order_acq_rel);
    }

    /// Asks the task to end. Whether it was told: not when it had ended.
    BOOST_FORCEINLINE bool abort(cancel_reason reason) noexcept
    {
        if (is_finished())
            return false;
        const std::uint8_t before = mark_aborted(reason);
        if ((before & (aborted | observed)) == observed) [[unlikely]]
            sink_->abort_told();
        if ((before & (aborted | addressed)) == addressed)
            home_->deliver_abort(*this);
        return true;
    }

    /// Asks a task that can hear it at its home to come to an end by itself.
    void ask_to_stop() noexcept
    {
        if ((flags_.load(std::memory_order_acquire) & (aborted | addressed)) == addressed)
            home_->ask_to_stop(*this);
    }

    /// Notes an abort, for who tells the task by other means. Whether it was the first to do so.
    bool mark_aborted_first(cancel_reason reason) noexcept
    {
        return (mark_aborted(reason) & aborted) == 0;
    }

    /// Notes the abort for the task to find, and tells nobody. Returns the flags as they were.
    std::uint8_t mark_aborted(cancel_reason reason) noexcept
    {
        std::uint8_t flags = flags_.load(std::memory_order_relaxed);
        while ((flags & aborted) == 0) {
            const auto marked =
                static_cast<std::uint8_t>(flags | aborted | (static_cast<unsigned>(reason) << reason_shift));
            if (flags_.compare_exchange_weak(flags, marked, std::memory_order_acq_rel))
                break;
        }
        return flags;
    }

    /// Settles the task in its home: from now on an abort is delivered there. False if it must end.
    bool settle_in_home() noexcept
    {
        if (step_.settled)
            return !must_end();
        step_.settled = true;
        return (flags_.fetch_or(addressed, std::memory_order_acq_rel) & aborted) == 0 || holds_ != 0;
    }

    /// Has its sink told of an abort. Before anyone else knows the task.
    void set_observed() noexcept
    {
        flags_.store(static_cast<std::uint8_t>(flags_.load(std::memory_order_relaxed) | observed),
                     std::memory_order_relaxed);
    }

    /// Undoes that, before the task goes from where it waited to the home where it starts. False if it is aborted.
    /** Then the abort is delivered to where it waited, or was. */
    bool unsettle() noexcept
    {
        std::uint8_t flags = flags_.load(std::memory_order_relaxed);
        do {
            if (flags & aborted)
                return false;
        } while (!flags_.compare_exchange_weak(flags, static_cast<std::uint8_t>(flags & ~addressed),
                                               std::memory_order_acq_rel));
        step_.settled = false;
        return true;
    }

    /// The same for a task whose home takes aborts from the start. False if it is aborted: its deadline may have passed.
    bool settle_before_start() noexcept
    {
        step_.settled = true;
        return (flags_.fetch_or(addressed, std::memory_order_acq_rel) & aborted) == 0;
    }

    // -- the end -----------------------------------------------------------------------------------------

    bool is_finished() const noexcept
    {
        return outcome_.load(std::memory_order_acquire) != outcome::none;
    }

    /// How the task ended. @pre `is_finished()`
    outcome how() const noexcept
    {
        return outcome_.load(std::memory_order_acquire);
    }

    /// Destroys the frame, publishes the outcome, and hands the task to its set. Its home only.
    void end(outcome how) noexcept
    {
        waiting_ = nullptr;
        frame().destroy();
        outcome_.store(how, std::memory_order_release);
        sink_->completed(*this);
    }

    /// Takes note that the result was destroyed before its time.
    void result_dropped() noexcept
    {
        outcome_.store(outcome::cancelled, std::memory_order_release);
    }

    void end_cancelled() noexcept
    {
        end(outcome::cancelled);
    }

    /// Ends a task whose execution context is gone. Whoever has the task at that moment.
    void end_executor_gone() noexcept
    {
        mark_aborted(cancel_reason::executor_gone);
        end_cancelled();
    }

    completion_sink& sink() const noexcept
    {
        return *sink_;
    }

    // -- its home ----------------------------------------------------------------------------------------

    home& where() const noexcept
    {
        return *home_;
    }

    /// Moves a task that has not settled to another home of the same anchor.
    void move_within(home& where) noexcept
    {
        BOOST_ASSERT(&where.anchor() == &home_->anchor());
        home_ = &where;
    }

    /// Moves a task that has not settled. The home that it takes reference to, if any, it owns from now on.
    void move_to(home& where, bool owns_home) noexcept
    {
        home* before = home_;
        home_ = &where;
        const bool owned = step_.owns_home;
        step_.owns_home = owns_home;
        if (owned)
            before->anchor().release();
    }

    void release_home() noexcept
    {
        if (step_.owns_home)
            home_->anchor().release();
    }

    // -- fields of the owner, see index.hpp and join_state.hpp -------------------------------------------

    static constexpr std::uint32_t no_slot = 0x7fff'ffff;

    std::uint32_t slot_ = no_slot; // where it stands in the index; it keeps that when it leaves, for its id
    bool is_kept_back_ = false;    // it waits in the `lifecycle`

    // The home's, here for the size's sake.
    relaxed<std::uint8_t> holds_ = 0; // sections that an abort must not end
    bool is_asleep_ = false; // in the list of its home's tasks that wait for nothing but an abort: see `link_asleep`
    relaxed<wait_kind> waits_for_ = wait_kind::operation; // while `waiting_`, to be seen by others

    // -- fields of the home, see step.hpp ----------------------------------------------------------------

    relaxed<suspension*> waiting_ = nullptr; // what the coroutine waits for; null while it runs or never ran
    task_node* next_ = nullptr;              // link of the queue that the task is in
    task_node* next_aborted_ = nullptr;      // link of its home's inbox of aborts

    struct step_state {
        bool stepping : 1 = false;  // the coroutine, or the start or cancel of its operation, is on the stack
        bool to_start : 1 = false;  // `waiting_` is to be started, not resumed
        bool ended : 1 = false;     // the operation ended while `stepping`
        bool foreign : 1 = false;   // wraps work that is no `task`: hears of its operation's end after an abort
        bool settled : 1 = false;   // its home is its last
        bool has_value : 1 = false; // the coroutine has returned
        bool failed : 1 = false;    // … or thrown
        bool owns_home : 1 = false;
    };
    step_state step_;

    /// What points at a task that `is_asleep_` in its list, which goes on with `next_`. It stands in the place of `waiting_`.
    task_node** link_asleep() const noexcept
    {
        return reinterpret_cast<task_node**>(waiting_.get());
    }

    void link_asleep(task_node** link) noexcept
    {
        waiting_ = reinterpret_cast<suspension*>(link);
    }

    // -- another of the owner's, here for the size's sake --------------------------------------------------

    enum class membership : std::uint8_t {
        none,           // joined or dropped: of no interest any more
        detached,       // of no interest any more, and keeps its set or map itself
        listed,         // in the index
        listed_arrived, // … and in the owner's list of finished tasks
        replaced,       // out of the index, and waited for by a shutdown only
        forgotten,      // out of the index, and of interest until it has ended, but not waited for
        reserved,       // in the index, and kept for certain joins
        reserved_ready, // … and in the owner's list of finished tasks all the same, to be passed by
        reserved_ended  // … and finished
    };
    membership membership_ = membership::none;

private:
    static constexpr std::uint8_t aborted = 1;
    static constexpr std::uint8_t addressed = 2;
    static constexpr std::uint8_t detached = 4;
    static constexpr std::uint8_t unwanted = 8;
    static constexpr std::uint8_t reason_mask = 0x70;
    static constexpr int reason_shift = 4;
    static constexpr std::uint8_t observed = 0x80; // its sink wants to hear of its abort

    std::atomic<std::uint8_t> flags_{0};
    std::atomic<outcome> outcome_{outcome::none};
    std::atomic<std::uint32_t> references_{0};
    completion_sink* sink_ = nullptr;
    home* home_ = nullptr;
    std::uint64_t number_ = 0;
};

static_assert(sizeof(task_node) == 64, "a node fills one cache line");

} // namespace joinery::detail
