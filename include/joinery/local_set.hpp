// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/home_of.hpp>
#include <joinery/detail/lone_task.hpp>
#include <joinery/detail/serial_home.hpp>
#include <joinery/detail/work.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/assert.hpp>

#include <cstddef>
#include <stdexcept>
#include <thread>
#include <utility>

namespace joinery {

namespace detail {
struct local_set_access;
}

/// Tasks that all run on one thread, so that they can share data without locks.
/**
 * Belongs to the thread that made it: only there may tasks be spawned on it, may it be run, and destroyed; and only
 * there are the coroutines of its tasks entered, resumed and destroyed, wherever they are aborted. Its executor, and
 * the handles of its tasks, may be used from any thread.
 *
 * Destroying it ends the tasks that are left as cancelled with `executor_gone`.
 */
class local_set {
public:
    using executor_type = boost::asio::io_context::executor_type;

    local_set()
        : context_(1)
        , home_(detail::shared_reference<detail::serial_home>::adopt(
              new detail::serial_home(context_.get_executor(), &detail::is_inside<executor_type>)))
    {
        boost::asio::use_service<detail::resident_home>(context_).settle(
            *home_, [](const boost::asio::any_io_executor& executor) noexcept {
                return detail::own_io_context(executor) != nullptr;
            });
    }

    ~local_set()
    {
        check_thread();
        home_->close();
    }

    local_set(const local_set&) = delete;
    local_set& operator=(const local_set&) = delete;

    executor_type get_executor() noexcept
    {
        return context_.get_executor();
    }

    /// The set whose `run` or `run_until` is on this thread's stack, the innermost; null if there is none.
    static local_set* current() noexcept
    {
        return current_;
    }

    /// Runs work here until it has ended; the other tasks of the set run on meanwhile. Returns its value.
    /**
     * @throws  std::logic_error  in a task of this set
     * @throws  the work's own exception; what a handler on the set's executor throws, and then the work is aborted
     * @pre     the caller is on the set's thread
     */
    template<class Work>
    detail::work_value<Work> run_until(Work&& work)
    {
        using value_type = detail::work_value<Work>;
        const scope in(*this);
        const auto guard = boost::asio::make_work_guard(context_);
        const auto root =
            detail::lone_task<value_type>::start(*home_, detail::make_task<value_type>(std::forward<Work>(work)));
        context_.restart();
        while (!root->has_ended())
            context_.run_one();
        return root->value();
    }

    /// Runs the tasks of the set until none can go on, and there is nothing that they wait for here.
    /**
     * A task in `this_task::sleep_forever()`, or one that waits for a set or map elsewhere, does not keep it running.
     *
     * @returns the number of handlers that were run, as `io_context::run` does
     * @throws  std::logic_error  in a task of this set; what a handler on the set's executor throws
     * @pre     the caller is on the set's thread
     */
    std::size_t run()
    {
        const scope in(*this);
        context_.restart();
        return context_.run();
    }

private:
    friend struct detail::local_set_access;

    class scope {
    public:
        explicit scope(local_set& set)
            : set_(set)
        {
            set.check_thread();
            if (std::exchange(set.runs_, true))
                throw std::logic_error(
                    "joinery: a local_set is run by one of its own tasks, which would wait for itself");
            outer_ = std::exchange(current_, &set);
        }

        ~scope()
        {
            current_ = outer_;
            set_.runs_ = false;
        }

        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;

    private:
        local_set& set_;
        local_set* outer_ = nullptr;
    };

    void check_thread() const noexcept
    {
        BOOST_ASSERT_MSG(std::this_thread::get_id() == thread_, "a local_set belongs to the thread that made it");
    }

    inline static constinit thread_local local_set* current_ = nullptr;

    bool runs_ = false;
    const std::thread::id thread_ = std::this_thread::get_id();
    boost::asio::io_context context_;
    detail::shared_reference<detail::serial_home> home_;
};

namespace detail {

struct local_set_access {
    static home& home_of(local_set& local) noexcept
    {
        local.check_thread();
        return *local.home_;
    }
};

} // namespace detail

} // namespace joinery
