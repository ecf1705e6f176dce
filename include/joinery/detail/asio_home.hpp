// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/context_registry.hpp>
#include <joinery/detail/context_timer.hpp>
#include <joinery/detail/home.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <utility>

namespace joinery::detail {

/// A function object that runs `Home::turn()`, or, if it is destroyed before, closes the home.
/**
 * An executor that destroys what it was given will not run anything that comes later either. But one that throws destroys
 * it too, and then it is for the caller to undo what he wanted it for.
 */
template<class Home>
class turn_handler {
public:
    explicit turn_handler(Home& target) noexcept
        : home_(target)
    {
    }

    turn_handler(turn_handler&&) noexcept = default;
    turn_handler& operator=(turn_handler&&) = delete;

    ~turn_handler()
    {
        if (home_ && std::uncaught_exceptions() <= exceptions_)
            home_->close();
    }

    void operator()()
    {
        // The reference is given up last: the turn may end the last task that has one.
        const shared_reference<Home> target = std::move(home_);
        target->turn();
    }

private:
    shared_reference<Home> home_;
    int exceptions_ = std::uncaught_exceptions();
};

/// A home whose tasks run on an Asio executor.
class asio_home : public context_member, public home {
public:
    // Not under the lock: it changes only when no thread runs the context any more.
    boost::asio::any_io_executor executor() override
    {
        return executor_;
    }

    bool runs_on(const boost::asio::any_io_executor& executor) override
    {
        const std::lock_guard lock(mutex_); // its context may be destroyed at this moment, but is another's
        return executor_ == executor;
    }

    // Any thread, because the strands of a concurrent home come here.
    bool start_timer(timer_node& node) override
    {
        std::unique_lock lock(mutex_);
        if (gone_)
            return false;
        if (!timer_)
            timer_ = context_timer::of(executor_);
        lock.unlock(); // it stays where it is
        return timer_->start(node);
    }

    bool stop_timer(timer_node& node) noexcept override
    {
        return timer_->stop(node);
    }

    /// Ends the tasks that are here, and from now on each that comes.
    virtual void close() noexcept = 0;

    /// Counts as outstanding work of the executor until `work_ended`. Any thread.
    void work_began() noexcept
    {
        std::size_t count = works_.load(std::memory_order_relaxed);
        while (count != 0) {
            if (works_.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel, std::memory_order_relaxed))
                return;
        }
        const std::lock_guard lock(mutex_);
        if (works_.load(std::memory_order_relaxed) == 0)
            hold_executor();
        works_.fetch_add(1, std::memory_order_acq_rel);
    }

    void work_ended() noexcept
    {
        std::size_t count = works_.load(std::memory_order_relaxed);
        while (count > 1) {
            if (works_.compare_exchange_weak(count, count - 1, std::memory_order_acq_rel, std::memory_order_relaxed))
                return;
        }
        const std::lock_guard lock(mutex_);
        if (works_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            work_ = boost::asio::any_io_executor();
    }

protected:
    explicit asio_home(boost::asio::any_io_executor executor)
        : home(static_cast<shared_object&>(*this))
        , executor_(std::move(executor))
    {
        join_context(executor_);
    }

    /// Asks the executor for a turn. @throws what the executor throws.
    template<class Home>
    static void post_turn(Home& target)
    {
        // As soon as the turn is posted, the last task that kept the home may end, before the lock is free.
        const shared_reference<Home> keep(target);
        // Under the lock, so that the executor is not posted to when its context has gone.
        const std::lock_guard lock(target.mutex_);
        if (!target.gone_)
            boost::asio::post(target.executor_, turn_handler<Home>(target));
    }

    /// Asks for another turn, when nobody is there to hear that it cannot be had.
    template<class Home>
    static void post_next_turn(Home& target) noexcept
    {
        try {
            post_turn(target);
        } catch (...) {
            target.forgo_turn(nullptr);
        }
    }

    boost::asio::any_io_executor executor_;
    mutable std::recursive_mutex mutex_; // an executor may run, or drop, what it is given on the spot

private:
    /// Posts no more, ends what is here, and forgets the executor, some of which must not outlive their context.
    void context_gone() noexcept final
    {
        {
            const std::lock_guard lock(mutex_);
            gone_ = true;
            work_ = boost::asio::any_io_executor();
        }
        close();
        const std::lock_guard lock(mutex_);
        executor_ = boost::asio::any_io_executor();
    }

    /// Holds on to the executor as outstanding work. Under the lock.
    void hold_executor() noexcept
    {
        if (gone_)
            return;
        try {
            work_ = boost::asio::prefer(executor_, boost::asio::execution::outstanding_work.tracked);
        } catch (...) {
            // It cannot be copied for want of memory: the work does not count.
        }
    }

    // It becomes zero, and ceases to be, under the lock only: so who finds it at one or more knows that `work_` is held.
    std::atomic<std::size_t> works_{0};
    boost::asio::any_io_executor work_;     // under the lock
    bool gone_ = false;                     // under the lock
    shared_reference<context_timer> timer_; // once a task has slept; under the lock
};

} // namespace joinery::detail
