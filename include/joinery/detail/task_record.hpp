// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/context_timer.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/observer.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/detail/timer_queue.hpp>
#include <joinery/observation.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task_id.hpp>

#include <atomic>
#include <cstddef>
#include <source_location>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace joinery::detail {

/// What is known of a task beyond its node: its deadline, and what others want to see. Lives as long as the node.
/**
 * It stands between the task and its set or map, as the task's `completion_sink`, and passes on what it hears. So a task
 * without one pays nothing, the node has no room for it, and its timer is stopped on the spot when the task ends.
 *
 * While the timer runs it has a reference to the record, and one to the task. They are given up by who stops it in time,
 * or else by the timer's call.
 */
class task_record final : public shared_object, public completion_sink, private timer_node {
public:
    task_record(join_state& state, const spawn_options& options, shared_reference<observer> watch)
        : timer_node(options.deadline.value_or(clock::time_point::max()))
        , state_(state)
        , watch_(std::move(watch))
    {
        if (watch_) {
            name_ = options.name;
            where_ = options.where;
            spawned_ = clock::now();
        }
    }

    /// The record of a task of a set or map; null if it has none.
    static const task_record* of(const task_node& task, const join_state& state) noexcept
    {
        const completion_sink& sink = task.sink();
        return &sink == &state ? nullptr : static_cast<const task_record*>(&sink);
    }

    /// Starts the deadline of a task. Before anyone else knows the task. @throws what an Asio timer throws
    void start(task_node& task, const shared_reference<context_timer>& timer)
    {
        if (!timer)
            return; // the context is gone, and the task will hear of that
        task_ = &task;
        timer_ = timer;
        task.retain();
        retain();
        try {
            if (timer_->start(*this))
                return;
        } catch (...) {
            give_up_references();
            timer_ = {};
            throw;
        }
        give_up_references(); // the same
        timer_ = {};
    }

    /// Undoes `start`, for a task that was not spawned after all. Its deadline may have passed at this moment.
    void not_started() noexcept
    {
        if (!timer_)
            return;
        if (timer_->stop(*this))
            return give_up_references();
        while (!is_told_.load(std::memory_order_acquire))
            std::this_thread::yield();
    }

    void completed(task_node& task) noexcept override
    {
        const shared_reference<task_record> keep(*this);
        if (timer_ && timer_->stop(*this))
            give_up_references();
        if (watch_)
            watch_->ended(task);
        state_.completed(task);
    }

    void abort_told() noexcept override
    {
        if (watch_)
            aborted_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    }

    /// Takes note that the task has begun, on the thread on which it does.
    void begun(task_id id) noexcept
    {
        has_begun_.store(true, std::memory_order_relaxed);
        watch_->started(id);
    }

    /// What is to be seen of the task. Any thread that keeps the task.
    task_sight sight(const task_node& task) const
    {
        constexpr std::string_view waits[] = {"an operation", "a timer",  "its turn", "a join",
                                              "an awaitable", "an abort", "a scope",  "work with a time limit"};
        const clock::time_point now = clock::now();
        task_sight seen;
        seen.id = task.id();
        seen.name = name_;
        seen.where = where_;
        seen.age = now - spawned_;
        if (const clock::rep aborted = aborted_.load(std::memory_order_relaxed))
            seen.since_abort = now - clock::time_point(clock::duration(aborted));
        seen.state = state_of(task);
        if (seen.state != task_state::finished && seen.state != task_state::waiting && task.waiting_.get())
            seen.waits_for = waits[static_cast<std::size_t>(task.waits_for_.get())];
        return seen;
    }

    void dispose(task_node& task) noexcept override
    {
        static_cast<completion_sink&>(state_).dispose(task);
        release();
    }

    std::stop_token stop_token() override
    {
        return state_.stop_token();
    }

private:
    task_state state_of(const task_node& task) const noexcept
    {
        if (task.is_finished())
            return task_state::finished;
        if (task.abort_requested())
            return task.holds_ != 0 ? task_state::held : task_state::aborting;
        if (task.is_kept_back_ || !has_begun_.load(std::memory_order_relaxed))
            return task_state::waiting;
        return task.waiting_.get() ? task_state::suspended : task_state::running;
    }

    void expired() noexcept override
    {
        const shared_reference<task_record> keep(*this);
        task_->abort(cancel_reason::timed_out);
        give_up_references();
        is_told_.store(true, std::memory_order_release);
    }

    void abandoned() noexcept override
    {
        const shared_reference<task_record> keep(*this);
        give_up_references();
        is_told_.store(true, std::memory_order_release);
    }

    void give_up_references() noexcept
    {
        task_node& task = *task_;
        release(); // not the last one: the task's node has one
        task.release();
    }

    join_state& state_;
    task_node* task_ = nullptr;
    shared_reference<context_timer> timer_;
    std::atomic<bool> is_told_{false};

    // if it is observed
    shared_reference<observer> watch_;
    std::string name_;
    std::source_location where_;
    clock::time_point spawned_;
    std::atomic<clock::rep> aborted_{0};
    std::atomic<bool> has_begun_{false};
};

} // namespace joinery::detail
