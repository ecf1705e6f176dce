// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../../harness/blocking_owner.hpp"
#include "../threads/finished_queue.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/result.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

namespace peers {

namespace asio = boost::asio;

/// Tasks by key on a thread_pool, as a user of Asio writes it by hand. The owner is a thread, which may block.
/**
 * As `task_map`, and each task has a strand: a cancellation signal may only be used in the serial order of the operation
 * that it cancels. Only the owner touches the map; the tasks hand it their records in a queue with a lock.
 */
template<class K, class V>
class shared_task_map {
    using strand = asio::strand<asio::thread_pool::executor_type>;

    struct record {
        record(K name, asio::thread_pool& pool)
            : key(std::move(name))
            , serial(asio::make_strand(pool))
        {
        }

        K key;
        strand serial;
        asio::cancellation_signal signal; // used on the strand, once the task was spawned
        std::optional<boost::system::result<V, std::exception_ptr>> result;
    };

    using record_pointer = std::shared_ptr<record>;
    using finished_records = finished_queue<record_pointer>;

public:
    struct joined {
        K key;
        boost::system::result<V, std::exception_ptr> result;
    };

    shared_task_map(asio::thread_pool& pool, asio::thread_pool& blocking)
        : pool_(&pool)
        , blocking_(&blocking)
        , finished_(std::make_shared<finished_records>())
    {
    }

    shared_task_map(shared_task_map&&) noexcept = default;

    ~shared_task_map()
    {
        abort_all();
    }

    void spawn(K key, asio::awaitable<V> work)
    {
        const record_pointer task = insert(std::move(key));
        asio::co_spawn(task->serial, std::move(work),
                       asio::bind_cancellation_slot(task->signal.slot(),
                                                    [finished = finished_, task](std::exception_ptr error, V value) {
                                                        if (error)
                                                            task->result.emplace(std::move(error));
                                                        else
                                                            task->result.emplace(std::move(value));
                                                        finished->push(task);
                                                    }));
    }

    template<class F>
    void spawn_blocking(K key, F function)
    {
        asio::post(*blocking_, [finished = finished_, task = insert(std::move(key)), function = std::move(function)] {
            task->result.emplace(function());
            finished->push(task);
        });
    }

    bench::ready<std::optional<joined>> async_join_next()
    {
        while (!by_key_.empty()) {
            const record_pointer task = pop();
            const auto found = by_key_.find(task->key);
            if (found == by_key_.end() || found->second != task)
                continue; // replaced
            by_key_.erase(found);
            return {joined{std::move(task->key), std::move(*task->result)}};
        }
        return {std::nullopt};
    }

    bench::ready<int> async_shutdown()
    {
        abort_all();
        by_key_.clear();
        while (running_ != 0)
            pop();
        return {0};
    }

    bool abort(const K& key)
    {
        const auto found = by_key_.find(key);
        if (found == by_key_.end())
            return false;
        abort(found->second);
        return true;
    }

    template<class Predicate>
    void abort_matching(Predicate matches)
    {
        for (const auto& [key, task] : by_key_) {
            if (matches(key))
                abort(task);
        }
    }

    void abort_all()
    {
        for (const auto& [key, task] : by_key_)
            abort(task);
    }

    bool contains(const K& key) const
    {
        return by_key_.contains(key);
    }

    std::size_t size() const
    {
        return by_key_.size();
    }

private:
    record_pointer insert(K key)
    {
        auto task = std::make_shared<record>(std::move(key), *pool_);
        record_pointer& entry = by_key_[task->key];
        if (entry)
            abort(entry);
        entry = task;
        ++running_;
        return task;
    }

    record_pointer pop()
    {
        --running_;
        return finished_->pop();
    }

    static void abort(const record_pointer& task)
    {
        asio::post(task->serial, [task] { task->signal.emit(asio::cancellation_type::terminal); });
    }

    asio::thread_pool* pool_;
    asio::thread_pool* blocking_;
    std::unordered_map<K, record_pointer> by_key_;
    std::size_t running_ = 0; // spawned and not taken from the queue, replaced ones too
    std::shared_ptr<finished_records> finished_;
};

} // namespace peers
