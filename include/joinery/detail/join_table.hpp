// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/detail/constructed_by.hpp>
#include <joinery/detail/home_of.hpp>
#include <joinery/detail/index.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/lifecycle.hpp>
#include <joinery/detail/result_room.hpp>
#include <joinery/detail/task_record.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/error.hpp>
#include <joinery/join_error.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/config.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <source_location>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace joinery::detail {

/// Says that a task has begun, and runs it.
template<class V>
task<V> task_of_observed(shared_reference<task_record> record, task<V> work)
{
    record->begun(co_await this_task::id());
    record = {}; // which the task's node keeps
    if constexpr (std::is_void_v<V>)
        co_await std::move(work);
    else
        co_return co_await std::move(work);
}

/// The tasks of a set or map: the index beside the queues of `join_state`.
/** `K` is `void` for a set. `Joined` is what a join yields. */
template<class K, class V, class Hash, class KeyEqual, class Joined>
class join_table final : public join_state, private observed {
    using index_type = task_index<K, Hash, KeyEqual>;
    using slot = typename index_type::slot;
    using table = typename index_type::table;
    using membership = task_node::membership;

public:
    using joined = Joined;
    using value_type = V;

    join_table(boost::asio::any_io_executor executor, shared_reference<home> where, std::size_t capacity,
               const Hash& hash, const KeyEqual& equal)
        : join_state(std::move(executor))
        , home_(std::move(where))
        , index_(capacity, hash, equal)
    {
    }

    home& own_home() const noexcept
    {
        return *home_;
    }

    const index_type& index() const noexcept
    {
        return index_;
    }

    index_type& index() noexcept
    {
        return index_;
    }

    // -- spawning ----------------------------------------------------------------------------------------

    /// Adds a task under a key; what was there is replaced. Strong guarantee.
    template<class Key>
    abort_handle spawn(home& where, bool settled, Key&& key, task<V>&& work, std::source_location from)
        requires(!std::is_void_v<K>)
    {
        const std::uint32_t hash = index_.hash(std::as_const(key));
        for (;;) {
            if (const section owner(*this); has_rules()) [[unlikely]] {
                break;
            } else if (!index_.find(std::as_const(key), hash)) {
                task_node& task = task_access::node(work);
                index_.insert(task, hash, std::forward<Key>(key));
                return launch(where, settled, work, [this, &task] { index_.erase(task); });
            }
            if (abort_handle handle = replace(std::as_const(key), hash, where, settled, work))
                return handle;
        }
        return spawn_by_rules(where, settled, spawn_options{.where = from}, std::move(work), std::forward<Key>(key))
            .handle;
    }

    /// Adds a task that has no key. Strong guarantee.
    abort_handle spawn(home& where, bool settled, task<V>&& work, std::source_location from)
        requires(std::is_void_v<K>)
    {
        const section owner(*this);
        if (has_rules()) [[unlikely]]
            return spawn_by_rules(where, settled, spawn_options{.where = from}, std::move(work)).handle;
        task_node& task = task_access::node(work);
        index_.insert(task, 0);
        return launch(where, settled, work, [this, &task] { index_.erase(task); });
    }

    /// Adds a task as its options, and the rules of the set or map, have it. Strong guarantee.
    /** @throws boost::system::system_error  with `errc::closed` or `errc::full` */
    template<class... Key>
    BOOST_NOINLINE spawned spawn_by_rules(home& where, bool settled, const spawn_options& options, task<V>&& work,
                                          Key&&... key)
    {
        return spawn_if_room(where, settled, options, false, std::move(work), std::forward<Key>(key)...);
    }

    /// The same for work that has waited for room, and now has it.
    template<class... Key>
    spawned spawn_after_waiting(home& where, const spawn_options& options, task<V>&& work, Key&&... key)
    {
        return spawn_if_room(where, false, options, true, std::move(work), std::forward<Key>(key)...);
    }

    // -- certain tasks: in locked sections -----------------------------------------------------------------

    task_node* find_task(task_id id) const
    {
        const slot* const found = index_.find(id);
        return found ? found->task() : nullptr;
    }

    template<class Q>
    task_node* find_task(const Q& key) const
        requires(!std::is_void_v<K>)
    {
        const slot* const found = find_place(key).taken;
        return found ? found->task() : nullptr;
    }

    /// What a join of one task yields, when it has its turn.
    template<class Name>
    std::optional<Joined> take_claimed(claim& what, Name&& name)
    {
        if (!what.task) {
            if (!what.why_gone)
                return std::nullopt;
            return joined_of(std::forward<Name>(name), join_result<V>(boost::system::in_place_error, *what.why_gone),
                             what.why_gone->id());
        }
        task_node& task = *what.task;
        if constexpr (std::is_void_v<V> || std::copy_constructible<V>) {
            if (what.joins > 1) {
                join_result<V> copy = copy_of_result(task);
                what.is_taken = true;
                return joined_of(std::forward<Name>(name), std::move(copy), task.id());
            }
        }
        life().forget(what); // if others wait for what can be had only once, there is nothing left for them
        if (!note_reserved_taken(task))
            return take(task);
        // It is thrown away when it has its turn among those that have ended.
        if constexpr (std::is_void_v<K>) {
            index_.extract(task);
            return Joined{take_result(task), task.id()};
        } else {
            return Joined{index_.extract(task), take_result(task), task.id()};
        }
    }

    /// Takes the outcome of a task that has none but an error, for who wants to know that only.
    join_error take_failure(claim& what)
    {
        if (!what.task)
            return what.why_gone ? *what.why_gone : join_error(task_id(), cancel_reason::aborted);
        task_node& task = *what.task;
        const join_error error = task.how() == outcome::exception
                                     ? join_error(task.id(), task_block<V>::exception(task))
                                     : join_error(task.id(), task.reason());
        what.is_taken = true; // the last to come removes the task
        return error;
    }

    bool has_failed_task() const noexcept
    {
        bool found = false;
        index_.for_each([&found](const slot& entry) {
            found |= has_arrived(*entry.task()) && entry.task()->how() != outcome::value;
        });
        return found;
    }

    /// A join of one task is over. The last one leaves it to whoever joins next, or to nobody, if it was theirs alone.
    void detach_join(claim& what) noexcept
    {
        if (--what.joins != 0 || !what.task)
            return;
        task_node& task = *what.task;
        life().forget(what);
        if (what.is_taken) {
            index_.erase(task);
            if (!note_reserved_taken(task))
                discard(task);
            return;
        }
        unreserve(task);
        if (!what.is_shared)
            return;
        index_.erase(task);
        note_replaced(task);
        task.mark_unwanted();
        task.abort(cancel_reason::aborted);
        sweep();
    }

    /// Forgets a task without aborting it. Whether there was one.
    template<class Name>
    bool detach(const Name& name)
    {
        const settling_section owner(*this, extension_ != nullptr);
        task_node* const found = find_task(name);
        if (!found)
            return false;
        if (extension_)
            life().leaves(*found, std::nullopt);
        index_.erase(*found);
        note_detached(*found);
        sweep();
        return true;
    }

    // -- the end -----------------------------------------------------------------------------------------

    /// The tasks that have not ended, by what their owner knows them by, and the number of those that were replaced.
    struct unfinished_tasks {
        std::vector<std::conditional_t<std::is_void_v<K>, task_id, K>> listed;
        std::size_t replaced = 0;
    };

    unfinished_tasks unfinished() const
    {
        unfinished_tasks left;
        index_.for_each([&left](const slot& entry) {
            if (entry.task()->is_finished())
                return;
            if constexpr (std::is_void_v<K>)
                left.listed.push_back(entry.task()->id());
            else
                left.listed.push_back(entry.key());
        });
        left.replaced = replaced();
        return left;
    }

    /// Lets no more tasks be spawned, ends those that have not started, and asks the others to. In a locked section.
    void begin_end()
    {
        seal();
        life().abort_waiting(cancel_reason::shutdown);
        std::vector<abort_handle> asked; // whoever hears it may change the index
        asked.reserve(index_.size());
        index_.for_each([&asked](const slot& entry) { asked.push_back(abort_handle_access::make(*entry.task())); });
        request_stop();
        for (abort_handle& each : asked)
            abort_handle_access::task(each).ask_to_stop();
    }

    // -- in the order of spawning: see join_queue.hpp ------------------------------------------------------

    /// Spawns by a function, and takes note of the order.
    template<class Spawn>
    auto spawn_in_order(Spawn& spawn)
    {
        lifecycle& life = this->life();
        const section owner(*this);
        std::deque<task_node*>& order = life.order;
        order.push_back(nullptr); // the part that may fail
        try {
            auto made = spawn();
            const abort_handle& handle = handle_of(made);
            // One that has ended on the spot, and that somebody has joined, has left no trace but this.
            if (task_node* const task = find_task(handle.id()))
                order.back() = task;
            else
                order.pop_back();
            return made;
        } catch (...) {
            order.pop_back();
            throw;
        }
    }

    std::optional<Joined> try_join_oldest()
    {
        const settling_section owner(*this);
        collect();
        return take_oldest();
    }

    /// Takes the oldest task, if it has ended. In a settling section.
    std::optional<Joined> take_oldest()
    {
        std::deque<task_node*>& order = life().order;
        if (!life().is_oldest_ended())
            return std::nullopt;
        task_node& task = *order.front();
        order.pop_front();
        note_dropped(task); // it is thrown away when it has its turn among those that have ended
        std::optional<Joined> oldest;
        oldest.emplace(constructed_by{[this, &task] {
            index_.extract(task);
            return Joined{take_result(task), task.id()};
        }});
        sweep();
        return oldest;
    }

    // -- rules -------------------------------------------------------------------------------------------

    /// The part that is there once it has been needed. @throws std::bad_alloc
    /** Only the owner makes it, under the lock, because a task that ends looks for it. So the owner may look without. */
    lifecycle& life()
    {
        if (!extension_) {
            const section owner(*this, true);
            extension_ = std::make_unique<lifecycle>(*this);
        }
        return static_cast<lifecycle&>(*extension_);
    }

    void set_conflict_policy(on_conflict policy)
    {
        lifecycle& life = this->life();
        const section owner(*this);
        life.conflict = policy;
        set_rules(true);
    }

    void set_limits(const task_limits& limits)
    {
        lifecycle& life = this->life();
        const settling_section owner(*this, true);
        life.set_limits(limits);
        set_rules(true);
    }

    void seal_off() noexcept
    {
        const settling_section owner(*this);
        seal();
    }

    // -- seeing ------------------------------------------------------------------------------------------

    /// Observes the tasks that are spawned from now on. @throws std::bad_alloc
    void observe(observation&& wanted)
    {
        lifecycle& life = this->life();
        auto watch = shared_reference<observer>::adopt(new observer(std::move(wanted)));
        if (!life.watch) {
            add_user(); // others look at the tasks, too
            observatory::instance().enter(*this);
        }
        const section owner(*this, true);
        life.watch = std::move(watch);
        set_rules(true);
    }

    template<class Sight>
    std::vector<Sight> snapshot() const
    {
        const section owner(unlocked(), true);
        std::vector<Sight> seen;
        seen.reserve(index_.size());
        index_.for_each([&](const slot& entry) {
            if (const task_record* const record = task_record::of(*entry.task(), *this))
                seen.push_back(sight_of<Sight>(entry, *record));
        });
        return seen;
    }

    task_counters counters() const
    {
        const section owner(unlocked(), true);
        if (!extension_)
            return {.running = active()};
        const auto& life = static_cast<const lifecycle&>(*extension_);
        task_counters seen = life.watch ? life.watch->counters() : task_counters();
        seen.waiting = life.waiting();
        seen.running = active() - life.waiting();
        return seen;
    }

    shared_object& kept_by() noexcept override
    {
        return *this;
    }

    tree_line describe() const override
    {
        const section owner(unlocked(), true);
        const observation& wanted = static_cast<const lifecycle&>(*extension_).watch->wanted();
        tree_line top{{}, wanted.parent, wanted.name.empty() ? std::string("tasks") : wanted.name};
        index_.for_each([&](const slot& entry) {
            const task_record* const record = task_record::of(*entry.task(), *this);
            if (record)
                top.below.push_back({entry.task()->id(), {}, line_of(entry, record->sight(*entry.task()))});
        });
        return top;
    }

    /// The home for an executor other than the set's own: the same for each task that is spawned on it.
    template<class Executor>
    shared_reference<home> home_for(const Executor& executor)
    {
        constexpr std::size_t most = 16;
        const boost::asio::any_io_executor erased(executor);
        const section owner(*this);
        if (erased == this->executor())
            return home_;
        for (const shared_reference<home>& known : homes_) {
            if (known->runs_on(erased))
                return known;
        }
        shared_reference<home> where = home_of(executor);
        if (homes_.size() == most)
            homes_.erase(homes_.begin());
        homes_.push_back(where);
        return where;
    }

    // -- joining -----------------------------------------------------------------------------------------

    std::optional<Joined> try_join()
    {
        const settling_section owner(*this);
        return take_next();
    }

    /// Takes the task that ended first. In a section. @throws what moving a key throws
    std::optional<Joined> take_next()
    {
        std::optional<Joined> next;
        if (task_node* const task = take_ready()) {
            constexpr std::size_t many = 10'000; // of fewer, all that is looked at is in the cache
            if (index_.size() > many)
                prefetch_next();
            next.emplace(constructed_by{[this, task] { return take(*task); }});
        }
        return next;
    }

    /// Takes every task that has ended. In a section.
    std::vector<Joined> take_all()
    {
        std::vector<Joined> all;
        all.reserve(listed());
        while (std::optional<Joined> next = take_next())
            all.push_back(std::move(*next));
        return all;
    }

    /// Throws away the tasks that have ended. Returns the exception of the first one that failed. In a section.
    std::exception_ptr discard_ended() noexcept
    {
        std::exception_ptr first;
        while (task_node* const task = take_ready()) {
            if (!first && task->how() == outcome::exception)
                first = task_block<V>::exception(*task);
            task->membership_ = membership::none;
            index_.erase(*task);
            discard(*task);
        }
        return first;
    }

    // -- aborting and forgetting -------------------------------------------------------------------------

    template<class Predicate>
    std::size_t abort_matching(Predicate&& matches)
    {
        const section owner(*this, true); // the predicate may begin a join, which would then need the lock
        std::vector<task_id> ids;
        ids.reserve(index_.size());
        index_.for_each([&ids](const slot& entry) { ids.push_back(entry.task()->id()); });
        std::size_t told = 0;
        for (std::size_t i = 0; i != ids.size(); ++i) {
            constexpr std::size_t ahead = 8;
            if (i + ahead < ids.size())
                index_.prefetch(ids[i + ahead]);
            const task_id id = ids[i];
            const slot* entry = index_.find(id);
            if (!entry || !is_match(matches, *entry))
                continue;
            entry = index_.find(id); // the predicate may have changed the index
            told += entry && entry->task()->abort(cancel_reason::aborted);
        }
        return told;
    }

    std::size_t abort_all(cancel_reason reason) noexcept override
    {
        const section owner(*this);
        std::size_t told = 0;
        index_.for_each([&told, reason](const slot& entry) { told += entry.task()->abort(reason); });
        return told;
    }

    void detach_all()
    {
        table dropped; // destroyed, keys and all, when the section is over
        const settling_section owner(*this, extension_ != nullptr);
        if (extension_)
            life().all_leave(std::nullopt);
        index_.for_each([this](const slot& entry) { note_detached(*entry.task()); });
        index_.swap(dropped);
        collect();
        purge();
    }

    /// Aborts every task, and leaves them to whoever waits for a shutdown.
    void begin_shutdown()
    {
        table dropped;
        const settling_section owner(*this, extension_ != nullptr);
        if (extension_) {
            life().all_leave(cancel_reason::shutdown);
            life().order.clear();
        }
        index_.for_each([this](const slot& entry) {
            task_node& task = *entry.task();
            note_replaced(task);
            task.mark_unwanted();
            task.abort(cancel_reason::shutdown);
        });
        index_.swap(dropped);
        collect();
        purge();
    }

    /// The end of the set or map: aborts every task, and cuts itself off from them.
    void abandon() noexcept
    {
        table dropped;
        const bool is_observed = extension_ && life().watch;
        if (is_observed)
            observatory::instance().leave(*this); // before anything is locked
        const section owner(*this, extension_ != nullptr);
        if (is_observed)
            remove_user();
        seal();
        if (extension_)
            life().all_leave(cancel_reason::shutdown);
        index_.for_each([](const slot& entry) { entry.task()->abort(cancel_reason::shutdown); });
        index_.swap(dropped);
        if (extension_)
            static_cast<lifecycle&>(*extension_).release_all();
        close();
    }

private:
    class kept_task;

    /// Where a task would stand: its key's hash, and the slot of that key, if it is in use.
    struct index_place {
        slot* taken = nullptr;
        std::uint32_t hash = 0;
    };

    template<class... Key>
    BOOST_NOINLINE index_place find_place(const Key&... key) const
    {
        if constexpr (std::is_void_v<K>) {
            return {};
        } else {
            const std::uint32_t hash = index_.hash(key...);
            return {index_.find(key..., hash), hash};
        }
    }

    /// Puts a task in its place; what was there stays beside it, or is put out. @throws what moving the key throws
    template<class... Key>
    BOOST_NOINLINE void enter(task_node& task, const index_place& place, bool beside, Key&&... key)
    {
        if constexpr (std::is_void_v<K>) {
            index_.insert(task, 0);
        } else {
            if (!place.taken)
                index_.insert(task, place.hash, std::forward<Key>(key)...);
            else if (beside)
                index_.supersede(*place.taken, task, std::forward<Key>(key)...);
            else
                index_.replace(*place.taken, task);
        }
    }

    /// Undoes `enter`.
    void leave(task_node& task, const index_place& place, bool beside, task_node* before) noexcept
    {
        if constexpr (!std::is_void_v<K>) {
            if (place.taken && beside)
                return index_.restore(*place.taken, task);
            if (place.taken)
                return place.taken->set_task(*before);
        }
        index_.erase(task);
    }

    /// See `spawn_by_rules`.
    template<class... Key>
    spawned spawn_if_room(home& where, bool settled, const spawn_options& options, bool has_waited, task<V>&& work,
                          Key&&... key)
    {
        lifecycle& life = this->life();
        kept_task replaced; // let go, with its result, when the section is over
        const settling_section owner(*this, true);
        collect();
        if (is_sealed())
            throw boost::system::system_error(errc::closed);

        const auto place = find_place(std::as_const(key)...);
        task_node* const before = place.taken ? place.taken->task() : nullptr;
        const on_conflict policy = options.conflict.value_or(life.conflict);
        if (before && policy == on_conflict::keep)
            return {abort_handle_access::make(*before), spawn_outcome::kept};

        const bool before_waits = before && lifecycle::is_waiting(*before);
        const bool lets_finish = before && !before_waits && policy == on_conflict::queue_latest;
        const bool stays = lets_finish || (before && options.join_replaced);
        task_node* predecessor = nullptr; // that has to end first
        if (before && policy != on_conflict::replace) {
            if (before_waits)
                predecessor = lifecycle::predecessor_of(*before);
            else if (!before->is_finished())
                predecessor = before;
        }
        // Whoever waited for the last one under this key may have gone, and left the key free.
        if (!predecessor && !std::is_void_v<K> && policy != on_conflict::replace && policy != on_conflict::keep)
            predecessor = life.holder_of(place.hash);
        const bool is_delayed = options.delay > options.delay.zero();
        const bool waits = predecessor || is_delayed || !life.has_room(has_waited);
        if (waits && !before_waits && !has_waited && life.is_full())
            throw boost::system::system_error(errc::full);

        // What can fail comes first.
        shared_reference<task_record> record;
        if (options.deadline || life.watch)
            record = shared_reference<task_record>::adopt(new task_record(*this, options, life.watch));
        if (life.watch)
            work = task_of_observed<V>(record, std::move(work));
        task_node& task = task_access::node(work);
        const bool owned = &where.anchor() != &home_->anchor();
        shared_reference<waiting_task> waiting;
        if (waits) {
            const auto start = timer_node::clock::now() + options.delay;
            waiting = shared_reference<waiting_task>::adopt(new waiting_task(life, where, owned, settled, start));
            life.prepare_successor();
        }
        if (options.deadline)
            static_cast<void>(life.timer());
        if (before) {
            replaced.keep(*this, *before);
            if (!stays)
                life.leaves(*before, cancel_reason::replaced);
        }
        const membership role = before ? before->membership_ : membership::none;
        enter(task, place, stays, std::forward<Key>(key)...);
        if (before && !stays)
            note_replaced(*before);

        adopt_task();
        if (owned && !waits)
            where.anchor().retain();
        task_record* const watch = record.get();
        if (life.watch)
            life.watch->spawned();
        task.spawned(watch ? static_cast<completion_sink&>(*record.release()) : *this, waits ? life : where,
                     owned && !waits, next_task_number());
        abort_handle handle = abort_handle_access::adopt(task);
        task.membership_ = membership::listed;
        if (life.watch)
            task.set_observed();
        try {
            if (options.deadline && *options.deadline <= timer_node::clock::now())
                task.mark_aborted(cancel_reason::timed_out);
            else if (options.deadline)
                watch->start(task, life.timer());
            if (waits) {
                life.keep(task, std::move(waiting), predecessor, is_delayed);
            } else {
                if (settled)
                    task.settle_before_start();
                where.schedule(task);
            }
        } catch (...) {
            if (watch)
                watch->not_started();
            if (life.watch)
                life.watch->not_spawned();
            leave(task, place, stays, before);
            if (before && !stays)
                note_restored(*before, role);
            abort_handle_access::forget(handle);
            task.not_spawned();
            if (watch)
                watch->release();
            drop_task();
            throw;
        }
        task_access::release(work);

        if (predecessor)
            life.note_holder(place.hash, *predecessor);
        if (before && !stays && role == membership::listed_arrived)
            replaced.drop_result = true;
        else if (before && !stays)
            before->mark_unwanted();
        if (before && !lets_finish)
            before->abort(cancel_reason::replaced);
        if (predecessor && policy == on_conflict::replace_after_exit)
            predecessor->abort(cancel_reason::replaced);
        sweep();
        return {std::move(handle), waits                    ? spawn_outcome::queued
                                   : before && !lets_finish ? spawn_outcome::replaced
                                                            : spawn_outcome::started};
    }

    /// Puts a task in the place of another; returns no handle if that has left. Strong guarantee.
    template<class Key>
    BOOST_NOINLINE abort_handle replace(const Key& key, std::uint32_t hash, home& where, bool settled, task<V>& work)
    {
        kept_task replaced; // let go, with its result, when the section is over
        const settling_section owner(*this);
        slot* const entry = index_.find(key, hash);
        if (!entry)
            return abort_handle();
        task_node& before = *entry->task();
        if (before.is_finished())
            collect();
        replaced.keep(*this, before);
        if (extension_)
            life().leaves(before, cancel_reason::replaced);
        const membership role = before.membership_;
        index_.replace(*entry, task_access::node(work));
        note_replaced(before);
        abort_handle handle = launch(where, settled, work, [this, entry, &before, role] {
            entry->set_task(before);
            note_restored(before, role);
        });
        if (role == membership::listed_arrived) {
            replaced.drop_result = true;
        } else {
            before.mark_unwanted();
            before.abort(cancel_reason::replaced);
        }
        sweep();
        return handle;
    }

    /// Lets a task go its way. In a section.
    void note_detached(task_node& task) noexcept
    {
        if (task.membership_ != membership::listed)
            return note_dropped(task);
        if (is_tied(task)) {
            note_forgotten(task);
            return task.mark_unwanted();
        }
        make_independent();
        task.membership_ = membership::detached;
        task.detach(); // from here on the task frees itself
    }

    /// Whether a task that is detached must still be known here: it waits, or others wait for its end.
    bool is_tied(const task_node& task) const noexcept
    {
        if (!extension_)
            return false;
        const auto& life = static_cast<const lifecycle&>(*extension_);
        return lifecycle::is_waiting(task) || life.has_successor(task) || life.limits().running != task_limits::none;
    }

    void prefetch_next() const noexcept
    {
        if (const task_node* const next = ready_next())
            index_.prefetch(*next);
    }

    static const abort_handle& handle_of(const abort_handle& handle) noexcept
    {
        return handle;
    }

    static const abort_handle& handle_of(const spawned& made) noexcept
    {
        return made.handle;
    }

    join_table& unlocked() const noexcept
    {
        return const_cast<join_table&>(*this);
    }

    template<class Sight>
    static Sight sight_of(const slot& entry, const task_record& record)
    {
        if constexpr (std::is_void_v<K>)
            return record.sight(*entry.task());
        else
            return Sight{record.sight(*entry.task()), entry.key()};
    }

    static std::string line_of(const slot& entry, const task_sight& seen)
    {
        std::ostringstream line;
        if constexpr (!std::is_void_v<K>) {
            if constexpr (requires { line << entry.key(); })
                line << entry.key() << ": ";
        }
        line << "task " << seen.id;
        if (!seen.name.empty())
            line << " \"" << seen.name << '"';
        line << ", " << seen.state;
        if (!seen.waits_for.empty())
            line << ", waits for " << seen.waits_for;
        line << ", " << std::chrono::duration_cast<std::chrono::milliseconds>(seen.age).count() << " ms old";
        if (seen.since_abort)
            line << ", aborted " << std::chrono::duration_cast<std::chrono::milliseconds>(*seen.since_abort).count()
                 << " ms ago";
        line << ", spawned at " << seen.where.file_name() << ':' << seen.where.line();
        return std::move(line).str();
    }

    template<class Name>
    static Joined joined_of(Name&& name, join_result<V>&& result, task_id id)
    {
        if constexpr (std::is_void_v<K>)
            return Joined{std::move(result), id};
        else
            return Joined{K(std::forward<Name>(name)), std::move(result), id};
    }

    static join_result<V> copy_of_result(task_node& task)
    {
        switch (task.how()) {
        case outcome::value:
            if constexpr (std::is_void_v<V>)
                return join_result<V>(boost::system::in_place_value);
            else
                return join_result<V>(boost::system::in_place_value, std::as_const(task_block<V>::value(task)));
        case outcome::exception:
            return join_result<V>(boost::system::in_place_error, join_error(task.id(), task_block<V>::exception(task)));
        default:
            return join_result<V>(boost::system::in_place_error, join_error(task.id(), task.reason()));
        }
    }

    /// In a section.
    Joined take(task_node& task)
    {
        task.membership_ = membership::none;
        const joined_task over(*this, task);
        if constexpr (std::is_void_v<K>) {
            index_.extract(task);
            return Joined{take_result(task), task.id()};
        } else {
            return Joined{index_.extract(task), take_result(task), task.id()};
        }
    }

    /// A value that cannot be moved out is lost, and the exception that says so takes its place.
    static join_result<V> take_result(task_node& task)
    {
        try {
            return task_block<V>::take(task);
        } catch (...) {
            return join_result<V>(boost::system::in_place_error, join_error(task.id(), std::current_exception()));
        }
    }

    /// Frees a task when its result has been taken; or throws it away, where that may call code of the user's.
    class joined_task {
    public:
        joined_task(join_table& table, task_node& task) noexcept
            : table_(table)
            , task_(task)
        {
        }

        ~joined_task()
        {
            if constexpr (std::is_trivially_destructible_v<stored_value<V>>) {
                if (!task_.is_shared() && task_.how() != outcome::exception && &task_.sink() == &table_) {
                    task_block<V>::dispose(task_);
                    table_.drop_task();
                    return;
                }
            }
            table_.discard(task_);
        }

        joined_task(const joined_task&) = delete;
        joined_task& operator=(const joined_task&) = delete;

    private:
        join_table& table_;
        task_node& task_;
    };

    /// Keeps a task that is being replaced: an executor that runs the new one on the spot may let the old one go.
    class kept_task {
    public:
        kept_task() noexcept = default;
        kept_task(const kept_task&) = delete;
        kept_task& operator=(const kept_task&) = delete;

        ~kept_task()
        {
            if (!task_)
                return;
            if (drop_result)
                task_block<V>::drop(*task_);
            task_->release();
            table_->release();
        }

        void keep(join_table& table, task_node& task) noexcept
        {
            table_ = &table;
            table.retain();
            task_ = &task;
            task.retain();
        }

        bool drop_result = false;

    private:
        join_table* table_ = nullptr;
        task_node* task_ = nullptr;
    };

    template<class Predicate>
    static bool is_match(Predicate& matches, const slot& entry)
    {
        if constexpr (std::is_void_v<K>)
            return static_cast<bool>(matches(entry.task()->id()));
        else
            return static_cast<bool>(matches(entry.key()));
    }

    void dispose(task_node& task) noexcept override
    {
        task_block<V>::dispose(task);
        release();
    }

    void drop_result(task_node& task) noexcept override
    {
        task_block<V>::drop(task);
    }

    std::size_t listed() const noexcept override
    {
        return index_.size();
    }

    /// Sends a task, which is in the index, on its way; if its home cannot take it, all is as before.
    template<class Undo>
    BOOST_FORCEINLINE abort_handle launch(home& where, bool settled, task<V>& work, Undo undo)
    {
        task_node& task = task_access::node(work);
        const bool own_reference = &where.anchor() != &home_->anchor();
        if (own_reference)
            where.anchor().retain();
        adopt_task();
        task.spawned(*this, where, own_reference, next_task_number());
        abort_handle handle = abort_handle_access::adopt(task);
        if (settled)
            task.settle_before_start();
        task.membership_ = membership::listed;
        try {
            where.schedule(task);
        } catch (...) {
            undo();
            abort_handle_access::forget(handle);
            task.not_spawned();
            drop_task();
            throw;
        }
        task_access::release(work);
        return handle;
    }

    shared_reference<home> home_;
    std::vector<shared_reference<home>> homes_; // of other executors, the one that was met last at the end
    index_type index_;
};

} // namespace joinery::detail
