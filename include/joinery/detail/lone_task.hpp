// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/result_room.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/work.hpp>

#include <condition_variable>
#include <mutex>
#include <utility>

namespace joinery::detail {

template<class V>
class lone_task;

/// Waits for a `lone_task`; aborts it if it waits no more.
template<class V>
class lone_run {
public:
    explicit lone_run(shared_reference<lone_task<V>> task) noexcept
        : task_(std::move(task))
    {
    }

    lone_run(lone_run&&) noexcept = default;
    lone_run& operator=(lone_run&&) = delete;

    ~lone_run()
    {
        if (task_)
            task_->abandon();
    }

    lone_task<V>* operator->() const noexcept
    {
        return task_.get();
    }

private:
    shared_reference<lone_task<V>> task_;
};

/// One task that a thread waits for, in no set. Owned by who waits and by the task.
template<class V>
class lone_task final : public shared_object, private completion_sink {
public:
    /// Starts a task. @throws what the home's executor throws
    static lone_run<V> start(home& where, task<V>&& work)
    {
        auto lone = shared_reference<lone_task>::adopt(new lone_task);
        where.anchor().retain();
        task_node& node = task_access::node(work);
        node.spawned(*lone, where, true, next_task_number());
        lone->retain(); // the task's
        abort_handle handle = abort_handle_access::adopt(node);
        try {
            where.schedule(node);
        } catch (...) {
            abort_handle_access::forget(handle);
            node.not_spawned();
            lone->release();
            throw;
        }
        lone->handle_ = std::move(handle);
        task_access::release(work);
        return lone_run<V>(std::move(lone));
    }

    bool has_ended()
    {
        const std::lock_guard lock(mutex_);
        return ended_ != nullptr;
    }

    void wait()
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return ended_ != nullptr; });
    }

    /// The value of the task, which has ended. Once. @throws the task's exception, or task_cancelled
    V value()
    {
        task_node& task = *std::exchange(ended_, nullptr);
        join_result<V> result = task_block<V>::take(task);
        task.release();
        return std::move(result).value();
    }

    /// Aborts the task, unless its value was taken, and waits for it no more.
    void abandon() noexcept
    {
        std::unique_lock lock(mutex_);
        abandoned_ = true;
        task_node* const ended = std::exchange(ended_, nullptr);
        lock.unlock();
        handle_.abort();
        handle_ = abort_handle();
        if (ended)
            ended->release();
    }

private:
    lone_task() = default;

    void completed(task_node& task) noexcept override
    {
        std::unique_lock lock(mutex_);
        if (abandoned_) {
            lock.unlock();
            task.release();
            return;
        }
        ended_ = &task;
        changed_.notify_all(); // under the lock: who waits may let this go as soon as it is free
    }

    void dispose(task_node& task) noexcept override
    {
        task_block<V>::dispose(task);
        release();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    task_node* ended_ = nullptr;
    bool abandoned_ = false;
    abort_handle handle_; // of who waits
};

} // namespace joinery::detail
