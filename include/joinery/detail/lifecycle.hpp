// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/context_timer.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/observer.hpp>
#include <joinery/detail/own_home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/detail/timer_queue.hpp>
#include <joinery/join_error.hpp>
#include <joinery/spawn_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/assert.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace joinery::detail {

class lifecycle;

/// A task that certain joins wait for, instead of whoever joins next.
/**
 * It exists as long as such joins do, each of which holds a reference. `waiting` has those that are not on their way to
 * their handlers yet. What the last of them does not take goes back to who joins next; unless nobody but such joins ever
 * wanted the task, which is aborted then.
 */
class claim final : public shared_object {
public:
    enum class phase : std::uint8_t { pending, ended, gone };

    explicit claim(task_node& target) noexcept
        : task(&target)
    {
    }

    task_node* task; // null when it is gone
    phase where = phase::pending;
    std::optional<join_error> why_gone; // nothing when another join took its outcome, or it was detached
    std::size_t joins = 0;              // that have not had their turn
    bool is_taken = false;              // one of these has a copy of the outcome
    bool is_shared = false;             // the task was spawned for these joins, and nobody else
    boost::intrusive::list<join_waiter> waiting;
};

using all_waiting_hook = boost::intrusive::list_base_hook<boost::intrusive::tag<lifecycle>,
                                                          boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// A task that may not start yet: what it waits for, and where it goes then.
/**
 * Until then the task's home is the `lifecycle`, and `waiting_` of its node refers to this, which lives as long as the task
 * waits, or its timer is being told. All of it is guarded by the lock of the set or map.
 */
class waiting_task final : public suspension,
                           public shared_object,
                           public boost::intrusive::list_base_hook<>, // of those that wait for room
                           public all_waiting_hook,                   // … of all
                           private timer_node {
public:
    waiting_task(lifecycle& life, home& destination, bool owned, bool settled, clock::time_point start) noexcept
        : timer_node(start)
        , life_(life)
        , destination_(destination)
        , is_owned_(owned)
        , is_settled_(settled)
    {
    }

    static waiting_task& of(const task_node& task) noexcept
    {
        return static_cast<waiting_task&>(*task.waiting_.get());
    }

    progress start(task_node&) noexcept override
    {
        BOOST_ASSERT_MSG(false, "a task that waits for its start takes no step");
        return progress::waiting;
    }

private:
    friend lifecycle;

    bool waits_for_room() const noexcept
    {
        return boost::intrusive::list_base_hook<>::is_linked();
    }

    void expired() noexcept override;
    void abandoned() noexcept override;

    lifecycle& life_; // with the timer, and with the task, goes a reference to the state
    shared_reference<home> destination_;
    task_node* task_ = nullptr;        // null when it waits no more
    task_node* predecessor_ = nullptr; // that has to end first
    bool is_owned_;                    // whether the task owns the destination, once it is there
    bool is_settled_;                  // whether the destination takes aborts from the start
    bool is_timed_ = false;            // whether its time is still to come
    bool has_timer_ = false;           // whether the timer may still be stopped
};

/// What a set or map does beside spawning at once and joining: keeps tasks back until they may start.
/**
 * It exists from the first use of anything that it is for, and is a part of the set's or map's state, whose lock guards it.
 * A task that may not start yet is in the index like any other, but its home is here. It waits for up to three things at a
 * time: that its predecessor has ended, that its time has come, and then, in order, for room.
 *
 * How many tasks run is known from what `join_state` counts in any case. While a task waits, the state counts one join more
 * as outstanding: so the owner locks, and each task that ends brings the state to `settle`, where tasks are let go.
 *
 * An abort of a task that waits comes here, from any thread, and the task is sent on at once to end where it would have
 * run: frames of a `local_set` may be destroyed nowhere else.
 *
 * Rejected: *a semaphore that a wrapped coroutine awaits*. It would have to be entered to wait, so that what it was given
 * lives, and a task that is aborted while it waits is not unstarted. *A second queue in front of the map*: its tasks could
 * not be found, aborted or replaced by key.
 */
class lifecycle final : public join_extension, public home {
public:
    /// @throws std::bad_alloc
    explicit lifecycle(join_state& state)
        : home(state)
        , state_(state)
    {
    }

    ~lifecycle() override
    {
        BOOST_ASSERT(successors_.empty() && room_.empty());
    }

    on_conflict conflict = on_conflict::replace; // the default
    shared_reference<observer> watch;            // if the tasks are observed

    /// The number of tasks that wait here. In a section.
    std::size_t waiting() const noexcept
    {
        return count_;
    }

    const task_limits& limits() const noexcept
    {
        return limits_;
    }

    /// In a settling section.
    void set_limits(const task_limits& limits) noexcept
    {
        limits_ = limits;
    }

    /// Whether a task that is spawned now may start at once, by who has waited, or by who has not and comes after those.
    /** In a section. */
    bool has_room(bool has_waited) const noexcept
    {
        if (!room_.empty())
            return false;
        return has_waited ? has_room_for_one() : spawns_.empty() && may_start() > woken_spawns;
    }

    /// Whether a task that would have to wait for room is to be refused, if nobody has waited to spawn it. In a section.
    bool is_full() const noexcept
    {
        return !spawns_.empty() || !may_one_more_wait();
    }

    /// What a task waits for that has to end first; null if nothing. In a section.
    static task_node* predecessor_of(const task_node& task) noexcept
    {
        return is_waiting(task) ? waiting_task::of(task).predecessor_ : nullptr;
    }

    /// A task that has not ended, and for whose end someone under its key has waited; null if there is none. In a section.
    /** Keys are told apart by their hashes: so who comes may wait for the task of another key. */
    task_node* holder_of(std::uint32_t hash) const noexcept
    {
        const auto found = holders_by_hash_.find(hash);
        const bool is_free = found != holders_by_hash_.end() && !has_successor(*found->second);
        return is_free && !found->second->is_finished() ? found->second : nullptr;
    }

    /// Takes note of such a task. In a section, after `prepare_successor`.
    void note_holder(std::uint32_t hash, task_node& task) noexcept
    {
        if (holders_.try_emplace(&task, hash).second)
            holders_by_hash_.insert_or_assign(hash, &task);
    }

    /// Whether another task waits for the end of this one. In a section.
    bool has_successor(const task_node& task) const noexcept
    {
        return successors_.contains(&task);
    }

    /// Whether a task has not been let start. In a section.
    static bool is_waiting(const task_node& task) noexcept
    {
        return task.is_kept_back_;
    }

    /// Whether a task waits for room, and not for anything else. In a section.
    static bool waits_for_room(const task_node& task) noexcept
    {
        return is_waiting(task) && waiting_task::of(task).waits_for_room();
    }

    /// The timers of the set or map; null if its context is gone. @throws std::bad_alloc
    const shared_reference<context_timer>& timer()
    {
        if (const boost::asio::any_io_executor executor = state_.executor(); executor && !timer_) {
            own_home* const own = own_home::of(executor);
            timer_ = context_timer::of(own ? own->timer_executor() : executor);
        }
        return timer_;
    }

    /// Makes room for one more that waits for a predecessor. @throws std::bad_alloc
    void prepare_successor()
    {
        successors_.reserve(successors_.size() + 1);
        holders_.reserve(holders_.size() + 1);
        holders_by_hash_.reserve(holders_by_hash_.size() + 1);
    }

    /// Keeps a task, which has been spawned here, until it may start. In a locked section, after `prepare_successor`.
    /** @throws what an Asio timer throws; then the task is not kept */
    void keep(task_node& task, shared_reference<waiting_task> waiting, task_node* predecessor, bool is_timed)
    {
        waiting->task_ = &task;
        if (is_timed)
            start_delay(*waiting);
        task.waiting_ = waiting.get();
        task.is_kept_back_ = true;
        const bool is_aborted = !task.settle_before_start(); // and nobody tells it
        waiting->predecessor_ = predecessor;
        if (predecessor)
            successors_.insert_or_assign(predecessor, waiting.get());
        ++count_;
        all_.push_back(*waiting);
        state_.retain(); // until the task has gone on
        state_.extension_waits();
        waiting_task& kept = *waiting.release();
        if (is_aborted)
            send(kept);
        else
            proceed(kept);
    }

    /// Aborts the tasks that wait: they end at once. Not those that were detached. In a locked section.
    void abort_waiting(cancel_reason reason) noexcept
    {
        all_list others; // … and that somebody else aborts at this moment
        while (!all_.empty()) {
            waiting_task& first = all_.front();
            all_.pop_front();
            others.push_back(first);
            if (first.task_->membership_ != task_node::membership::forgotten)
                first.task_->abort(reason);
        }
        all_.swap(others);
    }

    /// Sends every task on: there is no owner any more who would let them go. In a locked section.
    void release_all() noexcept
    {
        limits_ = task_limits();
        while (!successors_.empty()) {
            waiting_task& each = *successors_.begin()->second;
            leave_predecessor(each);
            proceed(each);
        }
        settle();
    }

    // -- claims: in locked sections ------------------------------------------------------------------------

    /// Has a task, which is listed, kept for a join. @throws std::bad_alloc
    shared_reference<claim> attach(task_node& task)
    {
        const auto [at, is_new] = claims_.try_emplace(&task);
        try {
            if (is_new) {
                at->second = shared_reference<claim>::adopt(new claim(task));
                due_claims_.reserve(due_claims_.size() + claims_.size());
            }
        } catch (...) {
            claims_.erase(at);
            throw;
        }
        if (is_new) {
            state_.reserve(task);
            if (state_.is_reserved_ended(task))
                at->second->where = claim::phase::ended;
        }
        ++at->second->joins;
        return at->second;
    }

    /// Ends a claim, whose task has left the set or map or is a task like any other again.
    void forget(claim& what) noexcept
    {
        const shared_reference<claim> keep(what);
        claims_.erase(what.task);
        what.task = nullptr;
        what.where = claim::phase::gone;
    }

    /// Takes note that a task leaves the index, or is about to: its joins are told why.
    void leaves(task_node& task, std::optional<cancel_reason> reason) noexcept
    {
        const auto found = claims_.find(&task);
        if (found == claims_.end())
            return;
        const shared_reference<claim> gone = found->second;
        if (reason)
            gone->why_gone.emplace(task.id(), *reason);
        state_.unreserve(task);
        forget(*gone);
        due_claims_.push_back(gone); // has room
    }

    /// The same for all.
    void all_leave(std::optional<cancel_reason> reason) noexcept
    {
        while (!claims_.empty())
            leaves(*claims_.begin()->second->task, reason);
    }

    // -- other joins that are special -----------------------------------------------------------------------

    /// Those that wait until every task has ended.
    boost::intrusive::list<join_waiter>& drains() noexcept
    {
        return drains_;
    }

    /// Those that spawn when there is room.
    boost::intrusive::list<join_waiter>& spawns() noexcept
    {
        return spawns_;
    }

    /// Whether so many spawns as are on their way, and one more, would not be refused.
    bool takes_one_more() const noexcept
    {
        return state_.is_sealed() || may_start() > woken_spawns || may_one_more_wait();
    }

    std::size_t woken_spawns = 0; // asynchronous spawns that are on their way to use the room that there is

    /// Those that wait for the oldest task.
    boost::intrusive::list<join_waiter>& oldest() noexcept
    {
        return oldest_;
    }

    std::size_t woken_oldest = 0; // of these, those that are on their way
    std::deque<task_node*> order; // tasks in the order of spawning, if that matters; all of them are listed

    bool is_oldest_ended() const noexcept
    {
        return !order.empty() && join_state::has_arrived(*order.front());
    }

    /// Counts a join that is to be told of the first task that ends without a value, by aborting all.
    void fail_fast(int change) noexcept
    {
        fail_fast_ += change;
    }

    // -- join_extension ----------------------------------------------------------------------------------

    void arrived(task_node& task) noexcept override
    {
        if (fail_fast_ != 0 && task.how() != outcome::value && join_state::is_listed(task))
            has_failed_ = true;
        if (const auto found = claims_.find(&task); found != claims_.end()) {
            found->second->where = claim::phase::ended;
            due_claims_.push_back(found->second); // has room
        }
        if (const auto found = holders_.find(&task); found != holders_.end()) {
            const auto by_hash = holders_by_hash_.find(found->second);
            if (by_hash != holders_by_hash_.end() && by_hash->second == &task)
                holders_by_hash_.erase(by_hash);
            holders_.erase(found);
        }
        if (successors_.empty())
            return;
        const auto found = successors_.find(&task);
        if (found == successors_.end())
            return;
        waiting_task& next = *found->second;
        leave_predecessor(next);
        proceed(next);
    }

    void settle() noexcept override
    {
        if (std::exchange(has_failed_, false))
            state_.abort_all(cancel_reason::aborted);
        while (!room_.empty() && has_room_for_one())
            let_start(room_.front());
        while (!due_claims_.empty()) {
            const shared_reference<claim> due = std::move(due_claims_.back());
            due_claims_.pop_back();
            state_.wake_all(due->waiting);
        }
        while (!spawns_.empty() && takes_one_more())
            state_.wake(spawns_.front());
        if (!oldest_.empty() && woken_oldest == 0 && (is_oldest_ended() || order.empty()))
            state_.wake(oldest_.front());
        if (!drains_.empty() && state_.active() == 0 && !state_.has_joins_on_their_way())
            state_.wake_all(drains_);
    }

    void close() noexcept override
    {
        while (!due_claims_.empty()) {
            const shared_reference<claim> due = std::move(due_claims_.back());
            due_claims_.pop_back();
            state_.cancel_all(due->waiting);
        }
        state_.cancel_all(spawns_);
        state_.cancel_all(drains_);
        state_.cancel_all(oldest_);
    }

    /// Those that wait to start there never will, and perhaps nothing else would ever let them go.
    void context_gone() noexcept override
    {
        all_list others;
        while (!all_.empty()) {
            waiting_task& first = all_.front();
            all_.pop_front();
            others.push_back(first);
            if (!first.is_owned_ && first.task_->mark_aborted_first(cancel_reason::executor_gone))
                send(first); // else its abort is on its way here
        }
        all_.swap(others);
    }

    // -- home --------------------------------------------------------------------------------------------

    void schedule(task_node&) override
    {
        BOOST_ASSERT_MSG(false, "no task takes a step here");
    }

    void deliver_abort(task_node& task) noexcept override
    {
        const shared_reference<shared_object> keep(anchor()); // the task may be the last that does
        const join_state::section locked(state_, true);
        if (task.is_kept_back_)
            send(waiting_task::of(task));
    }

    bool inside() const noexcept override
    {
        return false;
    }

    boost::asio::any_io_executor executor() override
    {
        return {};
    }

private:
    friend waiting_task;

    bool has_room_for_one() const noexcept
    {
        return state_.is_closed() || state_.unended() - count_ < limits_.running;
    }

    /// How many tasks may start at once beside those that have.
    std::size_t may_start() const noexcept
    {
        const std::size_t started = state_.unended() - count_;
        return room_.empty() && limits_.running > started ? limits_.running - started : 0;
    }

    /// Whether there is room to wait for one task, beside those of the spawns that are on their way.
    bool may_one_more_wait() const noexcept
    {
        const std::size_t may_wait = limits_.waiting > count_ ? limits_.waiting - count_ : 0;
        return may_wait > woken_spawns - std::min(may_start(), woken_spawns);
    }

    void start_delay(waiting_task& waiting)
    {
        waiting.is_timed_ = waiting.has_timer_ = true;
        waiting.retain();
        state_.retain();
        try {
            if (const auto& timers = timer(); timers && timers->start(waiting))
                return;
        } catch (...) {
            timer_over(waiting);
            throw;
        }
        waiting.is_timed_ = false; // the context is gone, which the task will find out
        timer_over(waiting);
    }

    /// Gives up what went with the timer.
    void timer_over(waiting_task& waiting) noexcept
    {
        waiting.has_timer_ = false;
        waiting.release();
        state_.release(); // not the last: a task is kept, or the caller has one
    }

    void leave_predecessor(waiting_task& waiting) noexcept
    {
        const task_node* const before = std::exchange(waiting.predecessor_, nullptr);
        if (!before)
            return;
        const auto found = successors_.find(before);
        if (found != successors_.end() && found->second == &waiting) // else a newer one waits in its place
            successors_.erase(found);
    }

    /// Lets a task wait for room, if it waits for nothing else. The next `settle` sees whether there is some.
    void proceed(waiting_task& waiting) noexcept
    {
        if (waiting.task_ && !waiting.predecessor_ && !waiting.is_timed_ && !waiting.waits_for_room())
            room_.push_back(waiting);
    }

    void let_start(waiting_task& waiting) noexcept
    {
        if (waiting.task_->unsettle())
            send(waiting);
        else
            room_.erase(room_.iterator_to(waiting)); // its abort is on its way here
    }

    /// Sends a task to where it starts, or, if it is aborted, ends.
    void send(waiting_task& waiting) noexcept
    {
        leave_predecessor(waiting);
        if (waiting.waits_for_room())
            room_.erase(room_.iterator_to(waiting));
        if (waiting.has_timer_ && timer_->stop(waiting))
            timer_over(waiting);
        task_node& task = *std::exchange(waiting.task_, nullptr);
        task.waiting_ = nullptr;
        task.is_kept_back_ = false;
        --count_;
        waiting.all_waiting_hook::unlink();
        state_.extension_waits_no_more();
        const shared_reference<waiting_task> last = shared_reference<waiting_task>::adopt(&waiting);
        const shared_reference<join_state> keep = shared_reference<join_state>::adopt(&state_);
        home& where = *waiting.destination_;
        if (waiting.is_owned_)
            waiting.destination_.release(); // the task's now
        task.move_to(where, waiting.is_owned_);
        if (waiting.is_settled_)
            task.settle_in_home();
        try {
            where.schedule(task);
        } catch (...) {
            task.end_executor_gone();
        }
    }

    using list = boost::intrusive::list<waiting_task, boost::intrusive::base_hook<boost::intrusive::list_base_hook<>>>;
    using all_list = boost::intrusive::list<waiting_task, boost::intrusive::base_hook<all_waiting_hook>,
                                            boost::intrusive::constant_time_size<false>>;

    join_state& state_;
    task_limits limits_;
    std::size_t count_ = 0;                                                 // of the tasks that wait here
    all_list all_;                                                          // … themselves
    list room_;                                                             // … of these, those that wait for room only
    boost::unordered_flat_map<const task_node*, waiting_task*> successors_; // by what has to end first
    boost::unordered_flat_map<const task_node*, std::uint32_t> holders_;    // the hashes of their keys
    boost::unordered_flat_map<std::uint32_t, task_node*> holders_by_hash_;
    boost::unordered_flat_map<const task_node*, shared_reference<claim>> claims_;
    std::vector<shared_reference<claim>> due_claims_; // of tasks that have ended or left
    boost::intrusive::list<join_waiter> drains_;
    boost::intrusive::list<join_waiter> spawns_;
    boost::intrusive::list<join_waiter> oldest_;
    int fail_fast_ = 0;
    bool has_failed_ = false; // a task has ended without a value, and others are to be aborted
    shared_reference<context_timer> timer_;
};

inline void waiting_task::expired() noexcept
{
    lifecycle& life = life_;
    const shared_reference<join_state> keep = shared_reference<join_state>::adopt(&life.state_);
    const shared_reference<waiting_task> self = shared_reference<waiting_task>::adopt(this);
    const join_state::settling_section locked(life.state_, true);
    has_timer_ = is_timed_ = false;
    life.proceed(*this);
}

inline void waiting_task::abandoned() noexcept
{
    lifecycle& life = life_;
    const shared_reference<join_state> keep = shared_reference<join_state>::adopt(&life.state_);
    const shared_reference<waiting_task> self = shared_reference<waiting_task>::adopt(this);
    const join_state::settling_section locked(life.state_, true);
    has_timer_ = is_timed_ = false;
    if (task_ && task_->mark_aborted_first(cancel_reason::executor_gone)) // else its abort is on its way here
        life.send(*this);
}

} // namespace joinery::detail
