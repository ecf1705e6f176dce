// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/block_cache.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/idle_runners.hpp>
#include <joinery/detail/result_room.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/bad_executor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// An `asio::awaitable` that is to be run, and what came of it: a part of the awaiter.
template<class T, class Executor>
class awaitable_job {
public:
    explicit awaitable_job(boost::asio::awaitable<T, Executor>&& given) noexcept
        : work(std::move(given))
    {
    }

    awaitable_job(const awaitable_job&) = delete;
    awaitable_job& operator=(const awaitable_job&) = delete;

    /// The awaitable has ended, and its frame is gone. On the home's executor.
    virtual void ended() noexcept = 0;

    /// The awaitable will never end: its frame was destroyed.
    virtual void lost() noexcept = 0;

    boost::asio::awaitable<T, Executor> work;
    std::optional<stored_value<T>> value;
    std::exception_ptr failure;
    bool was_cancelled = false;                         // the failure is what operations say that were cancelled
    boost::asio::cancellation_signal* signal = nullptr; // to be emitted in the home's serial order, until the end

protected:
    ~awaitable_job() = default;
};

/// Runs awaitables for the tasks of a home: a coroutine that `co_spawn` has started there.
/**
 * Owns itself: it lives in the completion handler of `co_spawn`, and so as long as the coroutine, which belongs to the
 * operation that it waits for at the moment. When a job is done, the runner of a loop puts itself among the `idle_runners`
 * of the loop and waits there for the next job; so most jobs cost a resumption, and neither `co_spawn` nor a post. On
 * other homes a runner has one job: it would count as work that the executor's context has to wait for, and the strand
 * of a task goes with the task.
 *
 * The value goes past `co_spawn`, which wants one that is default-constructible.
 *
 * Rejected: a `co_spawn` for each job. It makes two frames more, asks the executor three times for a function to be
 * called, and posts before it completes if nothing has suspended the awaitable.
 */
template<class T, class Executor>
class awaitable_runner final : public idle_runner {
    using job = awaitable_job<T, Executor>;

public:
    /// Starts a job on a home, in whose serial order the caller is. It may end, or be lost, before this returns.
    /** @throws std::bad_alloc; execution::bad_executor; what the executor throws */
    static void start(home& where, job& work)
    {
        idle_runners* const idle = where.idle_runners_here();
        if (idle_runner* const waiting = idle ? idle->take(&kind_) : nullptr)
            return static_cast<awaitable_runner*>(waiting)->go_on(work);
        std::unique_ptr<awaitable_runner> made(new awaitable_runner(where, idle != nullptr));
        awaitable_runner& runner = *made;
        const boost::asio::any_io_executor executor = where.executor();
        runner.take(work);
        if constexpr (std::is_convertible_v<const boost::asio::any_io_executor&, Executor>) {
            boost::asio::co_spawn(executor, run(runner), last_handler(std::move(made)));
        } else {
            const Executor* const exact = executor.target<Executor>();
            if (!exact)
                throw boost::asio::execution::bad_executor();
            boost::asio::co_spawn(*exact, run(runner), last_handler(std::move(made)));
        }
    }

    ~awaitable_runner()
    {
        if (job_)
            std::exchange(job_, nullptr)->lost();
    }

    static void* operator new(std::size_t size)
    {
        return block_cache::allocate(size);
    }

    static void operator delete(void* memory, std::size_t size) noexcept
    {
        block_cache::deallocate(memory, size);
    }

private:
    /// What the coroutine's end calls, or else its destruction destroys: has no executor of its own, so the home's.
    class last_handler {
    public:
        using cancellation_slot_type = boost::asio::cancellation_slot;

        explicit last_handler(std::unique_ptr<awaitable_runner> runner) noexcept
            : runner_(std::move(runner))
        {
        }

        void operator()(std::exception_ptr failure)
        {
            job* const done = std::exchange(runner_->job_, nullptr);
            if (!done)
                return;
            if (failure)
                done->failure = std::move(failure);
            done->ended();
        }

        cancellation_slot_type get_cancellation_slot() const noexcept
        {
            return runner_->signal_.slot();
        }

    private:
        std::unique_ptr<awaitable_runner> runner_;
    };

    awaitable_runner(home& where, bool is_of_loop) noexcept
        : home_(where)
        , is_of_loop_(is_of_loop)
    {
    }

    static boost::asio::awaitable<void, Executor> run(awaitable_runner& self)
    {
        while (!self.leaves_) {
            job& work = *self.job_;
            try {
                if constexpr (std::is_void_v<T>)
                    co_await std::move(work.work);
                else
                    work.value.emplace(co_await std::move(work.work));
            } catch (const boost::system::system_error& error) {
                work.failure = std::current_exception();
                work.was_cancelled = error.code() == boost::asio::error::operation_aborted;
            } catch (...) {
                work.failure = std::current_exception();
            }
            // What an abort, or the awaitable, has changed must not be there for what comes next.
            co_await boost::asio::this_coro::reset_cancellation_state();
            co_await boost::asio::this_coro::throw_if_cancelled(true);
            co_await boost::asio::async_initiate<const boost::asio::deferred_t, void()>(
                [&self](auto handler) { self.job_done(std::move(handler)); }, boost::asio::deferred);
        }
    }

    void take(job& work) noexcept
    {
        work.signal = &signal_;
        job_ = &work;
    }

    /// Waits for the next job, or makes the coroutine run to its end. Called when it is suspended.
    template<class Handler>
    void job_done(Handler&& handler)
    {
        using parked = std::remove_cvref_t<Handler>;
        static_assert(sizeof(parked) <= sizeof(room_) && alignof(parked) <= alignof(void*));
        idle_runners* const idle = is_of_loop_ ? home_.idle_runners_here() : nullptr;
        if (!idle || !idle->make_room(&kind_)) {
            // Having been suspended, it completes without a post. `co_spawn` brings the end home from wherever the
            // awaitable has gone.
            leaves_ = true;
            return std::forward<Handler>(handler)();
        }
        ::new (static_cast<void*>(room_)) parked(std::forward<Handler>(handler));
        take_handler_ = [](awaitable_runner& self, bool resume) {
            parked& waiting = *std::launder(reinterpret_cast<parked*>(self.room_));
            parked taken = std::move(waiting);
            std::destroy_at(&waiting);
            if (resume)
                std::move(taken)();
        };
        idle->put(&kind_, *this);
        std::exchange(job_, nullptr)->ended(); // with that, the runner may have its next job, or be gone
    }

    void go_on(job& work)
    {
        take(work);
        take_handler_(*this, true);
    }

    void discard() noexcept override
    {
        take_handler_(*this, false);
    }

    inline static char kind_ = 0; // its address tells the runners of this type from others

    home& home_; // kept by the executor, of which the coroutine has a copy
    const bool is_of_loop_;
    bool leaves_ = false;
    job* job_ = nullptr;
    boost::asio::cancellation_signal signal_;
    void (*take_handler_)(awaitable_runner&, bool resume) = nullptr;
    alignas(void*) std::byte room_[8 * sizeof(void*)]; // for the handler that resumes the coroutine
};

} // namespace joinery::detail
