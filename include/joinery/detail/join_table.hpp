// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/detail/constructed_by.hpp>
#include <joinery/detail/home_of.hpp>
#include <joinery/detail/index.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/result_room.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/join_error.hpp>
#include <joinery/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/config.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace joinery::detail {

/// The tasks of a set or map: the index beside the queues of `join_state`.
/** `K` is `void` for a set. `Joined` is what a join yields. */
template<class K, class V, class Hash, class KeyEqual, class Joined>
class join_table final : public join_state {
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
    abort_handle spawn(home& where, bool settled, Key&& key, task<V>&& work)
        requires(!std::is_void_v<K>)
    {
        const std::uint32_t hash = index_.hash(std::as_const(key));
        for (;;) {
            if (const section owner(*this); !index_.find(std::as_const(key), hash)) {
                task_node& task = task_access::node(work);
                index_.insert(task, hash, std::forward<Key>(key));
                return launch(where, settled, work, [this, &task] { index_.erase(task); });
            }
            if (abort_handle handle = replace(std::as_const(key), hash, where, settled, work))
                return handle;
        }
    }

    /// Adds a task that has no key. Strong guarantee.
    abort_handle spawn(home& where, bool settled, task<V>&& work)
        requires(std::is_void_v<K>)
    {
        const section owner(*this);
        task_node& task = task_access::node(work);
        index_.insert(task, 0);
        return launch(where, settled, work, [this, &task] { index_.erase(task); });
    }

    /// The home for an executor other than the set's own: the same for each task that is spawned on it.
    template<class Executor>
    shared_reference<home> home_for(const Executor& executor)
    {
        constexpr std::size_t most = 16;
        const boost::asio::any_io_executor erased(executor);
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

    // -- aborting and forgetting -------------------------------------------------------------------------

    template<class Predicate>
    std::size_t abort_matching(Predicate&& matches)
    {
        const section owner(*this, true); // the predicate may begin a join, which would then need the lock
        std::vector<task_id> ids;
        ids.reserve(index_.size());
        index_.for_each([&ids](const slot& entry) { ids.push_back(entry.task()->id()); });
        std::size_t told = 0;
        for (const task_id id : ids) {
            const slot* entry = index_.find(id);
            if (!entry || !is_match(matches, *entry))
                continue;
            entry = index_.find(id); // the predicate may have changed the index
            told += entry && entry->task()->abort(cancel_reason::aborted);
        }
        return told;
    }

    std::size_t abort_all(cancel_reason reason) noexcept
    {
        const section owner(*this);
        std::size_t told = 0;
        index_.for_each([&told, reason](const slot& entry) { told += entry.task()->abort(reason); });
        return told;
    }

    void detach_all()
    {
        table dropped; // destroyed, keys and all, when the section is over
        const settling_section owner(*this);
        index_.for_each([this](const slot& entry) {
            task_node& task = *entry.task();
            if (task.membership_ != membership::listed)
                return note_dropped(task);
            make_independent();
            task.membership_ = membership::detached;
            task.detach(); // from here on the task frees itself
        });
        index_.swap(dropped);
        collect();
        purge();
    }

    /// Aborts every task, and leaves them to whoever waits for a shutdown.
    void begin_shutdown()
    {
        table dropped;
        const settling_section owner(*this);
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
        const section owner(*this);
        index_.for_each([](const slot& entry) { entry.task()->abort(cancel_reason::shutdown); });
        index_.swap(dropped);
        close();
    }

private:
    class kept_task;

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

    void prefetch_next() const noexcept
    {
        if (const task_node* const next = ready_next())
            index_.prefetch(*next);
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
                if (!task_.is_shared() && task_.how() != outcome::exception) {
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
    abort_handle launch(home& where, bool settled, task<V>& work, Undo undo)
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
