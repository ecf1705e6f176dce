// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/join_waiter.hpp>
#include <joinery/detail/lifecycle.hpp>
#include <joinery/detail/result_room.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/timer_queue.hpp>
#include <joinery/error.hpp>
#include <joinery/join_error.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task.hpp>

#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

// The joins that are `special`: see join_operation.hpp for what they have in common.

namespace joinery::detail {

/// Waits for the outcome of one task, by its key or id, and takes it.
template<class Table, class Name>
class claim_join {
public:
    using state_type = Table;
    using value_type = std::optional<typename Table::joined>;
    static constexpr join_kind kind = join_kind::special;

    claim_join(Name name, bool aborts) noexcept(std::is_nothrow_move_constructible_v<Name>)
        : name_(std::move(name))
        , aborts_(aborts)
    {
    }

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().drains(); // for a moment, if there is no such task
        task_node* const task = table.find_task(name_);
        if (!task)
            return;
        attach(table, waiter, *task);
        if (aborts_)
            task->abort(cancel_reason::aborted);
    }

    bool is_due(Table&) const noexcept
    {
        return !claim_ || claim_->where != claim::phase::pending;
    }

    value_type take(Table& table)
    {
        return claim_ ? table.take_claimed(*claim_, std::move(name_)) : value_type();
    }

    void end(Table& table) noexcept
    {
        if (claim_)
            table.detach_join(*claim_);
    }

    boost::system::error_code error;

protected:
    void attach(Table& table, join_waiter& waiter, task_node& task)
    {
        claim_ = table.life().attach(task);
        waiter.list = &claim_->waiting;
    }

    Name name_;
    shared_reference<claim> claim_;

private:
    bool aborts_;
};

/// Shares the outcome of the task under a key, and spawns it if there is none.
template<class Table, class Key>
class shared_join : public claim_join<Table, Key> {
    using base = claim_join<Table, Key>;

public:
    shared_join(Key key, home& where, task<typename Table::value_type>&& work)
        : base(std::move(key), false)
        , where_(where)
        , work_(std::move(work))
    {
    }

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().drains();
        task_node* task = table.find_task(this->name_);
        if (task)
            return this->attach(table, waiter, *task);
        try {
            static_cast<void>(
                table.spawn_by_rules(*where_, false, spawn_options(), std::move(work_), Key(this->name_)));
        } catch (const boost::system::system_error& refused) {
            this->error = refused.code();
            return;
        }
        task = table.find_task(this->name_);
        if (!task)
            return; // it has ended on the spot, and somebody has joined it
        this->attach(table, waiter, *task);
        this->claim_->is_shared = true;
    }

private:
    shared_reference<home> where_;
    task<typename Table::value_type> work_;
};

/// Spawns when there is room.
template<class Table, class... Key>
class spawn_join {
public:
    using state_type = Table;
    using value_type = spawned;
    static constexpr join_kind kind = join_kind::special;

    spawn_join(home& where, task<typename Table::value_type>&& work, const spawn_options& options, Key... key)
        : where_(where)
        , work_(std::move(work))
        , options_(options)
        , name_(options.name)
        , key_(std::move(key)...)
    {
    }

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().spawns();
        waiter.woken = &table.life().woken_spawns;
        waiter_ = &waiter;
    }

    bool is_due(Table& table)
    {
        if (waiter_->where == join_waiter::phase::woken)
            return true;
        table.bring_up_to_date();
        return table.life().spawns().empty() && table.life().takes_one_more();
    }

    value_type take(Table& table)
    {
        try {
            return std::apply(
                [&](Key&... key) {
                    options_.name = name_;
                    return table.spawn_after_waiting(*where_, options_, std::move(work_), std::move(key)...);
                },
                key_);
        } catch (const boost::system::system_error& refused) {
            error = refused.code();
            return {};
        }
    }

    void end(Table&) noexcept
    {
    }

    boost::system::error_code error;

private:
    shared_reference<home> where_;
    task<typename Table::value_type> work_;
    spawn_options options_;
    std::string name_;
    std::tuple<Key...> key_;
    join_waiter* waiter_ = nullptr;
};

/// Waits until every task has ended, or until one has ended without a value, and then aborts the others. Takes all.
template<class Table>
class fail_fast_join {
public:
    using state_type = Table;
    using value_type = std::vector<typename Table::joined>;
    static constexpr join_kind kind = join_kind::special;

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().drains();
        table.life().fail_fast(1);
        has_begun_ = true;
        table.bring_up_to_date();
        if (table.has_failed_task())
            table.abort_all(cancel_reason::aborted);
    }

    bool is_due(Table& table)
    {
        table.bring_up_to_date();
        return table.active() == 0;
    }

    value_type take(Table& table)
    {
        return table.take_all();
    }

    void end(Table& table) noexcept
    {
        if (has_begun_)
            table.life().fail_fast(-1);
    }

    boost::system::error_code error;

private:
    bool has_begun_ = false;
};

/// Waits for the oldest task to end.
template<class Table>
class oldest_join {
public:
    using state_type = Table;
    using value_type = std::optional<typename Table::joined>;
    static constexpr join_kind kind = join_kind::special;

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().oldest();
        waiter.woken = &table.life().woken_oldest;
        waiter_ = &waiter;
    }

    bool is_due(Table& table)
    {
        table.bring_up_to_date();
        lifecycle& life = table.life();
        if (waiter_->where != join_waiter::phase::woken && (!life.oldest().empty() || life.woken_oldest != 0))
            return false; // others were here before
        return life.order.empty() || life.is_oldest_ended();
    }

    value_type take(Table& table)
    {
        return table.take_oldest();
    }

    void end(Table&) noexcept
    {
    }

    boost::system::error_code error;

private:
    join_waiter* waiter_ = nullptr;
};

/// What a task says when it is ready, and who waits for that. Guarded by the lock of the set or map.
template<class Table, class T>
class readiness final : public shared_object {
public:
    explicit readiness(Table& table) noexcept
        : table_(table)
    {
    }

    template<class... Args>
    void set(Args&&... args)
    {
        const join_state::settling_section locked(*table_, true);
        if (!waiter || value)
            return; // nobody waits any more
        value.emplace(std::forward<Args>(args)...);
        if (waiter->where == join_waiter::phase::waiting)
            table_->wake(*waiter);
    }

    std::optional<stored_value<T>> value;
    join_waiter* waiter = nullptr;

private:
    shared_reference<Table> table_;
};

/// Spawns a task, and waits until it says that it is ready.
template<class Table, class T, class... Key>
class start_join {
public:
    using state_type = Table;
    using value_type = std::optional<join_result<T>>;
    static constexpr join_kind kind = join_kind::special;

    start_join(shared_reference<readiness<Table, T>> ready, home& where, task<typename Table::value_type>&& work,
               const spawn_options& options, Key... key)
        : ready_(std::move(ready))
        , where_(where)
        , work_(std::move(work))
        , options_(options)
        , name_(options.name)
        , key_(std::move(key)...)
    {
    }

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().drains();
        ready_->waiter = &waiter;
        try {
            const spawned made = std::apply(
                [&](Key&... key) {
                    options_.name = name_;
                    return table.spawn_by_rules(*where_, false, options_, std::move(work_), std::move(key)...);
                },
                key_);
            if (made.outcome == spawn_outcome::kept)
                return;
            task_node* const task = table.find_task(made.handle.id());
            if (!task)
                return; // it has ended on the spot, and somebody has joined it
            claim_ = table.life().attach(*task);
            waiter.list = &claim_->waiting;
        } catch (const boost::system::system_error& refused) {
            error = refused.code();
        }
    }

    bool is_due(Table&) const noexcept
    {
        return !claim_ || ready_->value || claim_->where != claim::phase::pending;
    }

    value_type take(Table& table)
    {
        if (ready_->value) {
            if constexpr (std::is_void_v<T>)
                return join_result<T>(boost::system::in_place_value);
            else
                return join_result<T>(boost::system::in_place_value, std::move(*ready_->value));
        }
        if (!claim_ || (claim_->task && claim_->task->how() == outcome::value))
            return std::nullopt; // it was never ready; its value is for who joins
        return table.take_failure(*claim_);
    }

    void end(Table& table) noexcept
    {
        ready_->waiter = nullptr;
        if (claim_)
            table.detach_join(*claim_);
    }

    boost::system::error_code error;

private:
    shared_reference<readiness<Table, T>> ready_;
    shared_reference<home> where_;
    task<typename Table::value_type> work_;
    spawn_options options_;
    std::string name_;
    std::tuple<Key...> key_;
    shared_reference<claim> claim_;
};

/// What a shutdown with a grace period has come to. Guarded by the lock of the set or map.
template<class Table>
class shutdown_course final : public shared_object {
    enum class stage : std::uint8_t { graceful, aborted, over };

    /// Tells the course that its time is up, unless it is stopped in time. Has a reference to itself meanwhile.
    class alarm final : public shared_object, private timer_node {
    public:
        alarm(shutdown_course& course, clock::time_point at)
            : timer_node(at)
            , course_(course)
            , timer_(course.table_->life().timer())
        {
        }

        void start()
        {
            retain();
            try {
                if (timer_ && timer_->start(*this))
                    return;
            } catch (...) {
                release();
                throw;
            }
            abandoned(); // the context is gone: there is nobody left to wait for
        }

        void stop() noexcept
        {
            if (timer_ && timer_->stop(*this))
                release();
        }

    private:
        void expired() noexcept override
        {
            const shared_reference<alarm> self = shared_reference<alarm>::adopt(this);
            const shared_reference<Table> table = course_->table_;
            const join_state::settling_section locked(*table, true);
            course_->time_is_up();
        }

        void abandoned() noexcept override
        {
            expired();
        }

        shared_reference<shutdown_course> course_;
        shared_reference<context_timer> timer_;
    };

public:
    shutdown_course(Table& table, join_waiter& waiter, std::chrono::nanoseconds patience) noexcept
        : table_(table)
        , waiter_(&waiter)
        , patience_(patience)
    {
    }

    void start(std::chrono::nanoseconds grace)
    {
        if (grace <= grace.zero())
            return time_is_up();
        set_alarm(grace);
    }

    void stop() noexcept
    {
        waiter_ = nullptr;
        if (alarm_)
            alarm_->stop();
        alarm_ = {};
    }

    bool is_over() const noexcept
    {
        return stage_ == stage::over;
    }

private:
    void time_is_up() noexcept
    {
        if (!waiter_ || is_over())
            return;
        if (stage_ == stage::graceful) {
            stage_ = stage::aborted;
            table_->abort_all(cancel_reason::shutdown);
            try {
                return set_alarm(patience_);
            } catch (...) {
                // No time can be had: what has not ended by now is reported.
            }
        }
        stage_ = stage::over;
        if (waiter_->where == join_waiter::phase::waiting)
            table_->wake(*waiter_);
    }

    void set_alarm(std::chrono::nanoseconds after)
    {
        alarm_ = shared_reference<alarm>::adopt(new alarm(*this, timer_node::clock::now() + after));
        alarm_->start();
    }

    shared_reference<Table> table_;
    join_waiter* waiter_; // null when nobody waits any more
    std::chrono::nanoseconds patience_;
    shared_reference<alarm> alarm_;
    stage stage_ = stage::graceful;
};

/// Ends everything: lets the tasks come to an end by themselves for a while, then aborts them, and waits for a while.
template<class Table>
class graceful_shutdown {
public:
    using state_type = Table;
    using value_type = typename Table::unfinished_tasks;
    static constexpr join_kind kind = join_kind::special;

    graceful_shutdown(std::chrono::nanoseconds grace, std::chrono::nanoseconds patience) noexcept
        : grace_(grace)
        , patience_(patience)
    {
    }

    void begin(Table& table, join_waiter& waiter)
    {
        waiter.list = &table.life().drains();
        course_ = shared_reference<shutdown_course<Table>>::adopt(new shutdown_course<Table>(table, waiter, patience_));
        table.begin_end();
        course_->start(grace_);
    }

    bool is_due(Table& table)
    {
        table.bring_up_to_date();
        table.settle(); // joins that wait have what there is first
        return course_->is_over() || (table.active() == 0 && !table.has_joins_on_their_way());
    }

    value_type take(Table& table)
    {
        value_type left = table.unfinished();
        table.begin_shutdown();
        return left;
    }

    void end(Table&) noexcept
    {
        if (course_)
            course_->stop();
    }

    boost::system::error_code error;

private:
    std::chrono::nanoseconds grace_;
    std::chrono::nanoseconds patience_;
    shared_reference<shutdown_course<Table>> course_;
};

} // namespace joinery::detail
