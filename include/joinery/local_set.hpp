// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/lone_task.hpp>
#include <joinery/detail/loop_home.hpp>
#include <joinery/detail/own_home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/work.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/assert.hpp>

#include <atomic>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

namespace joinery {

namespace detail {

struct local_set_access;

/// The loop of a `local_set`.
class local_home final : public shared_object, public loop_home {
public:
    local_home()
        : loop_home(static_cast<shared_object&>(*this))
    {
    }

    /// Runs the loop until a condition holds.
    template<class Condition>
    void run_until(Condition is_reached)
    {
        const entry in(*this);
        const auto guard = boost::asio::make_work_guard(context());
        for (;;) {
            const bool handled = poll_context(); // first, so that those who call this in a loop hold back no I/O
            const bool moved = take_turn([]() noexcept { return false; });
            if (is_reached())
                return;
            if (!handled && !moved)
                sleep_unless([]() noexcept { return false; });
        }
    }

    /// Runs the loop until its tasks wait for no operation, and the `io_context` has no work.
    void run()
    {
        using guard = boost::asio::executor_work_guard<boost::asio::io_context::executor_type>;
        const entry in(*this);
        for (;;) {
            const bool moved = take_turn([]() noexcept { return false; });
            if (poll_context() || moved)
                continue;
            // Without work of its own the io_context has stopped, and would not sleep. First, because who ends an operation
            // of another context counts it as ended, and then wakes.
            clear_wake();
            // Operations of other contexts are no work here.
            const auto elsewhere = operations_.load(std::memory_order_acquire) != 0
                                       ? std::optional<guard>(context().get_executor())
                                       : std::nullopt;
            if (!sleep_unless([]() noexcept { return false; }) && !elsewhere)
                return;
        }
    }

    /// Ends every task, and the `io_context`.
    void end() noexcept
    {
        close_queues();
        shut_context_down();
        destroy_context();
    }

    void operation_began() noexcept override
    {
        operations_.fetch_add(1, std::memory_order_relaxed);
    }

    void operation_ended() noexcept override
    {
        operations_.fetch_sub(1, std::memory_order_release);
        if (!runs_here())
            wake(); // `run` may sleep because of this operation alone
    }

private:
    class entry {
    public:
        explicit entry(local_home& loop) noexcept
            : loop_(loop)
            , interrupted_(loop.enter())
        {
        }

        ~entry()
        {
            loop_.leave(interrupted_);
        }

        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;

    private:
        local_home& loop_;
        loop_home* interrupted_;
    };

    std::atomic<int> operations_{0}; // that tasks wait for
};

} // namespace detail

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
    using executor_type = detail::own_executor<true>;

    local_set()
        : home_(detail::shared_reference<detail::local_home>::adopt(new detail::local_home))
    {
    }

    ~local_set()
    {
        check_thread();
        home_->end();
    }

    local_set(const local_set&) = delete;
    local_set& operator=(const local_set&) = delete;

    /// The executor of its thread. A copy may outlive the set, and then destroys what it is given.
    executor_type get_executor() noexcept
    {
        return executor_type(*home_);
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
        const auto root =
            detail::lone_task<value_type>::start(*home_, detail::make_task<value_type>(std::forward<Work>(work)));
        home_->run_until([&root] { return root->has_ended(); });
        return root->value();
    }

    /// Runs the tasks of the set until none of them waits for an operation, and nothing else waits on its executor.
    /**
     * A task in `this_task::sleep_forever()` does not keep it running.
     *
     * @throws  std::logic_error  in a task of this set; what a handler on the set's executor throws
     * @pre     the caller is on the set's thread
     */
    void run()
    {
        const scope in(*this);
        home_->run();
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
    detail::shared_reference<detail::local_home> home_;
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
