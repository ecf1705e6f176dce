// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/idle_runners.hpp>
#include <joinery/detail/loop_timer.hpp>
#include <joinery/detail/own_home.hpp>
#include <joinery/detail/run_queue.hpp>
#include <joinery/detail/step.hpp>
#include <joinery/detail/task_list.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

namespace joinery::detail {

/// A home that is the loop of one thread: of the tasks on it, and of an `io_context`.
/**
 * Tasks and aborts come through `queue_`, or, from the thread itself, straight into `ready_` and `aborted_`. The loop lets tasks take their steps,
 * then handlers of the `io_context` run, and when there is neither, it sleeps in the `io_context`. Who brings a task then
 * stops the `io_context`, which is the one way to make `run_one` return that allocates nothing and cannot fail.
 *
 * Rejected: to post a handler to an ordinary `io_context` for each burst of tasks, as `serial_home` has to. Each such
 * burst costs an allocation and two locks.
 */
class loop_home : public own_home {
public:
    // -- home --------------------------------------------------------------------------------------------

    void schedule(task_node& task) override
    {
        if (current_ == this) {
            ready_.push_back(task);
            return;
        }
        switch (queue_.push(task)) {
        case pushed::queued:
            break;
        case pushed::closed:
            task.end_executor_gone();
            break;
        case pushed::wake:
            wake();
        }
    }

    void schedule_parked(task_node& task) noexcept override
    {
        if (current_ == this)
            ready_.push_back(task);
        else if (queue_.push(task) == pushed::wake)
            wake();
    }

    void end_turn() noexcept override
    {
        turn_ends_ = true;
    }

    bool takes_parked() const noexcept override
    {
        return true;
    }

    void deliver_abort(task_node& task) noexcept override
    {
        if (current_ == this && task.is_asleep_) {
            endless_sleep::remove(task);
            ready_.push_back(task); // for its last step
            return;
        }
        task.retain();
        if (current_ == this) {
            aborted_.push_back(task);
            return;
        }
        switch (queue_.push_aborted(task)) {
        case pushed::queued:
            break;
        case pushed::closed:
            task.release(); // it has ended, or is about to
            break;
        case pushed::wake:
            wake();
        }
    }

    bool start_timer(timer_node& node) override
    {
        timer_.start(node, *context_);
        return true;
    }

    bool stop_timer(timer_node& node) noexcept override
    {
        return timer_.stop(node);
    }

    /// Not while handlers of the `io_context` run: what they continue takes its step from the loop itself.
    bool inside() const noexcept override
    {
        return current_ == this && !in_context_;
    }

    idle_runners* idle_runners_here() noexcept override
    {
        return current_ == this ? &idle_runners_ : nullptr;
    }

    // -- own_home ----------------------------------------------------------------------------------------

    bool runs_here() const noexcept override
    {
        return current_ == this;
    }

    open_context context_for_post() override
    {
        if (current_ == this) // then it does not end
            return {&*context_, nullptr, {}};
        std::unique_lock lock(context_mutex_);
        return {is_open_ ? &*context_ : nullptr, nullptr, std::move(lock)};
    }

    boost::asio::io_context& context() noexcept override
    {
        return *context_;
    }

    /// Makes the loop leave its sleep, or not fall into the next one before it has looked round.
    void wake() noexcept
    {
        const std::lock_guard lock(context_mutex_);
        if (is_open_)
            context_->stop();
    }

protected:
    explicit loop_home(shared_object& anchor)
        : own_home(anchor)
        , context_(std::in_place)
    {
    }

    ~loop_home() = default;

    static loop_home* current() noexcept
    {
        return current_;
    }

    /// Makes this the loop of the calling thread. Returns the one that it interrupts.
    loop_home* enter() noexcept
    {
        queue_.rouse(); // awake
        return std::exchange(current_, this);
    }

    void leave(loop_home* interrupted) noexcept
    {
        current_ = interrupted;
    }

    /// Lets tasks take a step, but not for ever. Whether any did.
    /** `start_one()` enters a task that has come by another way than the queue, if there is one, and says so. */
    template<class StartOne>
    bool take_turn(StartOne start_one) noexcept
    {
        bool moved = false;
        turn_ends_ = false;
        ready_.append(queue_.take()); // so that tasks that yield to each other keep out no other
        timer_.expire(steps_per_turn);
        for (int steps = 0; steps != steps_per_turn && !turn_ends_; ++steps) {
            moved |= receive_aborts();
            if (ready_.empty())
                ready_ = queue_.take();
            // Tasks that go round and round must not keep others from starting.
            const bool start_first = steps % 8 == 0;
            if (start_first && start_one()) {
                moved = true;
            } else if (!ready_.empty()) {
                task_node& next = ready_.pop_front();
                ready_.prefetch_front();
                step(next);
                moved = true;
            } else if (start_one()) {
                moved = true;
            } else {
                break;
            }
        }
        return moved;
    }

    /// Lets handlers of the `io_context` run, but not for ever. Whether any did. @throws what they throw
    bool poll_context()
    {
        clear_wake();
        const in_context now(*this);
        int handlers = 0;
        while (handlers != steps_per_turn && context_->poll_one() != 0)
            ++handlers;
        return handlers != 0;
    }

    /// Sleeps until there is something to do; at most, until one handler has run. @throws what it throws
    /**
     * `is_needed()` is asked once more when everyone who brings something will see that the loop sleeps.
     * @returns false if nothing has come, and the `io_context` has nothing to wait for
     */
    template<class IsNeeded>
    bool sleep_unless(IsNeeded is_needed)
    {
        if (!queue_.sleep())
            return true;
        bool disturbed = !ready_.empty() || !aborted_.empty() || is_needed() || !timer_.arm();
        if (!disturbed) {
            const in_context now(*this);
            disturbed = context_->run_one() != 0;
        }
        clear_wake();
        return !queue_.rouse() || disturbed;
    }

    /// Makes the `io_context` usable again. Who woke the loop had put down its task before, and it is found after.
    void clear_wake()
    {
        if (context_->stopped())
            context_->restart();
    }

    /// Ends the tasks that are here, and each that comes from now on; cancels what others wait for.
    /** When no thread is in the loop any more. */
    void close_queues() noexcept
    {
        parked_link::end_all(operations_); // while the queue still takes the tasks whose operations end
        task_list tasks = std::move(ready_);
        task_list more;
        aborted_list aborted;
        queue_.close(more, aborted);
        tasks.append(std::move(more));
        aborted.append(std::move(aborted_));
        release_all(std::move(aborted));
        end_all(std::move(tasks));
        parked_link::end_all(parked_);
        endless_sleep::end_all(asleep_);
        timer_.close();
    }

    /// Destroys the handlers that wait in the `io_context`, and so ends the tasks that wait for operations.
    void shut_context_down() noexcept
    {
        {
            const std::lock_guard lock(context_mutex_);
            is_open_ = false;
        }
        idle_runners_.close(); // they have this home's executor, and so keep the home
        context_->shutdown();
    }

    void destroy_context() noexcept
    {
        context_.reset();
    }

private:
    /// An `io_context` that can be made to drop its handlers before it is destroyed.
    class shut_context : public boost::asio::io_context {
    public:
        shut_context()
            : boost::asio::io_context(1)
        {
        }

        using boost::asio::io_context::shutdown;
    };

    class in_context {
    public:
        explicit in_context(loop_home& home) noexcept
            : home_(home)
        {
            home_.in_context_ = true;
        }

        ~in_context()
        {
            home_.in_context_ = false;
        }

        in_context(const in_context&) = delete;
        in_context& operator=(const in_context&) = delete;

    private:
        loop_home& home_;
    };

    bool receive_aborts() noexcept
    {
        aborted_.append(queue_.take_aborted());
        if (aborted_.empty())
            return false;
        while (!aborted_.empty()) {
            task_node& task = aborted_.pop_front();
            aborted_.prefetch_front();
            receive_abort(task);
            task.release();
        }
        return true;
    }

    inline static constinit thread_local loop_home* current_ = nullptr; // the loop that runs on this thread

    std::optional<shut_context> context_;
    loop_timer timer_;
    task_list ready_;
    aborted_list aborted_; // by the thread itself
    idle_runners idle_runners_;
    bool in_context_ = false;
    bool turn_ends_ = false;
    run_queue queue_;
    std::mutex context_mutex_; // between a late wake or post, and the end
    bool is_open_ = true;
};

} // namespace joinery::detail
