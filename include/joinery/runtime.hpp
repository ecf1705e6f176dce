// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/blocking_pool.hpp>
#include <joinery/detail/default_blocking_pool.hpp>
#include <joinery/detail/lone_task.hpp>
#include <joinery/detail/own_home.hpp>
#include <joinery/detail/runtime_home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/work.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/assert.hpp>

#include <algorithm>
#include <cstddef>
#include <thread>
#include <utility>

namespace joinery {

/// Threads for tasks: one worker for each core, each with an `io_context` of its own, and a pool for what blocks.
/**
 * A task that is spawned on the runtime starts on a worker that is free, and stays there: its coroutine, its I/O and
 * its handlers all run on that one thread, so it needs no strand. A task that has not started waits for no particular
 * worker; one that computes for long holds back only those that have started on its own.
 *
 * Inside a task, `co_await asio::this_coro::executor` is the worker's executor: make I/O objects from it, so that they
 * live where the task does. A set or map that is made from it has all of its tasks on that worker.
 *
 * A function that is posted to the runtime may compute for long, as a task may. A handler that is posted to a worker's
 * own executor, or that an operation on it calls, should not: it can hold back a task that has not started.
 *
 * The destructor ends the tasks that are left as cancelled with `executor_gone`; it waits for those that run to come
 * to a `co_await` or to their end, and for the functions on the blocking pool.
 *
 * @par Thread Safety Distinct objects: safe. One object: safe, but for its destruction, which must not happen on one
 * of its own threads.
 */
class runtime : public boost::asio::execution_context {
public:
    using executor_type = detail::own_executor<false>;

    /// Starts as many workers as the machine has cores.
    runtime()
        : runtime(std::max(1u, std::thread::hardware_concurrency()))
    {
    }

    /// @pre `workers > 0`
    explicit runtime(std::size_t workers, const blocking_pool::options& blocking = blocking_pool::options());

    ~runtime();

    /// The executor that spreads tasks over the workers.
    /**
     * A function that is posted to it runs on the worker of the calling thread, or else on any one. A copy may outlive
     * the runtime, and then destroys what it is given.
     */
    executor_type get_executor() noexcept
    {
        return executor_type(*home_);
    }

    /// Runs work to its end on the workers, while the calling thread waits. Returns its value.
    /**
     * @throws  the work's own exception
     * @pre     the caller is not on one of the runtime's threads
     */
    template<class Work>
    detail::work_value<Work> block_on(Work&& work)
    {
        using value_type = detail::work_value<Work>;
        BOOST_ASSERT_MSG(!detail::worker::current() || &detail::worker::current()->all() != home_.get(),
                         "runtime::block_on in one of the runtime's own tasks would wait for itself");
        const auto root =
            detail::lone_task<value_type>::start(*home_, detail::make_task<value_type>(std::forward<Work>(work)));
        root->wait();
        return root->value();
    }

    /// The pool for functions that block, which `spawn_blocking` uses.
    blocking_pool& blocking() noexcept
    {
        return pool_;
    }

    std::size_t worker_count() const noexcept
    {
        return home_->workers().size();
    }

private:
    detail::shared_reference<detail::runtime_home> home_;
    blocking_pool pool_;
};

inline runtime::runtime(std::size_t workers, const blocking_pool::options& blocking)
    : home_(detail::shared_reference<detail::runtime_home>::adopt(new detail::runtime_home(workers, *this)))
    , pool_(blocking)
{
    BOOST_ASSERT(workers != 0);
    detail::default_blocking_pool::share(*this, pool_);
    for (detail::worker& each : home_->workers())
        detail::default_blocking_pool::share(each.context(), pool_);
    home_->start_threads();
}

inline runtime::~runtime()
{
    home_->stop();
    detail::blocking_pool_access::home(pool_).close(); // functions may own I/O objects of the workers
    shutdown();
    home_->destroy_contexts();
}

} // namespace joinery
