// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/result.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

namespace peers {

namespace asio = boost::asio;

/// Tasks by key on an io_context that one thread runs, as a user of Asio writes it by hand.
/**
 * Each task has a record, shared by the map and by the completion handler of its `co_spawn`: it holds the cancellation
 * signal, which must stay where it is until the task has ended. Whether a finished record is still the one under its key
 * says whether it was replaced. The owner waits on a timer that never expires.
 */
template<class K, class V>
class task_map {
    struct record {
        explicit record(K name)
            : key(std::move(name))
        {
        }

        K key;
        asio::cancellation_signal signal;
        std::optional<boost::system::result<V, std::exception_ptr>> result;
    };

    // What the handlers of tasks use, which may come after the map has gone.
    struct shared_state {
        explicit shared_state(asio::any_io_executor executor)
            : finished_one(std::move(executor), asio::steady_timer::time_point::max())
        {
        }

        void finish(const std::shared_ptr<record>& task, std::exception_ptr error, V value)
        {
            if (error)
                task->result.emplace(std::move(error));
            else
                task->result.emplace(std::move(value));
            --running;
            finished.push_back(task);
            if (std::exchange(owner_waits, false))
                finished_one.cancel();
        }

        std::unordered_map<K, std::shared_ptr<record>> by_key;
        std::deque<std::shared_ptr<record>> finished;
        std::size_t running = 0;
        bool owner_waits = false;
        asio::steady_timer finished_one;
    };

public:
    struct joined {
        K key;
        boost::system::result<V, std::exception_ptr> result;
    };

    task_map(asio::any_io_executor executor, asio::thread_pool& blocking)
        : executor_(std::move(executor))
        , blocking_(&blocking)
        , state_(std::make_shared<shared_state>(executor_))
    {
    }

    task_map(task_map&&) noexcept = default;

    ~task_map()
    {
        if (state_)
            abort_all();
    }

    void spawn(K key, asio::awaitable<V> work)
    {
        const std::shared_ptr<record> task = insert(std::move(key));
        asio::co_spawn(executor_, std::move(work),
                       asio::bind_cancellation_slot(task->signal.slot(),
                                                    [state = state_, task](std::exception_ptr error, V value) {
                                                        state->finish(task, std::move(error), std::move(value));
                                                    }));
    }

    template<class F>
    void spawn_blocking(K key, F function)
    {
        asio::post(*blocking_, [state = state_, task = insert(std::move(key)), function = std::move(function),
                                back = asio::prefer(executor_, asio::execution::outstanding_work.tracked)]() mutable {
            V value = function();
            asio::post(back, [state = std::move(state), task = std::move(task), value = std::move(value)]() mutable {
                state->finish(task, nullptr, std::move(value));
            });
        });
    }

    asio::awaitable<std::optional<joined>> async_join_next()
    {
        shared_state& state = *state_;
        for (;;) {
            while (!state.finished.empty()) {
                const std::shared_ptr<record> task = std::move(state.finished.front());
                state.finished.pop_front();
                const auto found = state.by_key.find(task->key);
                if (found == state.by_key.end() || found->second != task)
                    continue; // replaced
                state.by_key.erase(found);
                co_return joined{std::move(task->key), std::move(*task->result)};
            }
            if (state.by_key.empty())
                co_return std::nullopt;
            co_await wait();
        }
    }

    asio::awaitable<void> async_shutdown()
    {
        abort_all();
        state_->by_key.clear();
        while (state_->running != 0)
            co_await wait();
        state_->finished.clear();
    }

    bool abort(const K& key)
    {
        const auto found = state_->by_key.find(key);
        if (found == state_->by_key.end())
            return false;
        abort(*found->second);
        return true;
    }

    template<class Predicate>
    void abort_matching(Predicate matches)
    {
        for (const auto& [key, task] : state_->by_key) {
            if (matches(key))
                abort(*task);
        }
    }

    void abort_all()
    {
        for (const auto& [key, task] : state_->by_key)
            abort(*task);
    }

    bool contains(const K& key) const
    {
        return state_->by_key.contains(key);
    }

    std::size_t size() const
    {
        return state_->by_key.size();
    }

private:
    std::shared_ptr<record> insert(K key)
    {
        auto task = std::make_shared<record>(std::move(key));
        std::shared_ptr<record>& entry = state_->by_key[task->key];
        if (entry)
            abort(*entry);
        entry = task;
        ++state_->running;
        return task;
    }

    static void abort(record& task)
    {
        task.signal.emit(asio::cancellation_type::terminal);
    }

    auto wait()
    {
        state_->owner_waits = true;
        return state_->finished_one.async_wait(asio::as_tuple(asio::deferred));
    }

    asio::any_io_executor executor_;
    asio::thread_pool* blocking_;
    std::shared_ptr<shared_state> state_;
};

} // namespace peers
