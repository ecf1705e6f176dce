// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/child_task.hpp>
#include <joinery/detail/context_registry.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/result_room.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/join_error.hpp>
#include <joinery/task.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// Why a task that an operation ran has no value, as Asio's operations say it.
inline std::exception_ptr failure_of(const join_error& error)
{
    if (error.is_exception())
        return error.exception();
    if (error.reason() == cancel_reason::executor_gone)
        return std::make_exception_ptr(task_cancelled(error));
    return std::make_exception_ptr(boost::system::system_error(boost::asio::error::operation_aborted));
}

/// A task that runs for a completion handler. Owned by the task, by its way to the handler, and by the cancellation
/// slot.
/**
 * The handler, which may hold the frame of a coroutine, is called or destroyed after the task has ended, and never
 * before, also when its execution context goes.
 */
template<class V, class Default, class Handler>
class task_operation final : public context_member, private child_task<V> {
    using executor_type = boost::asio::associated_executor_t<Handler, Default>;
    using allocator_type = typename std::allocator_traits<
        boost::asio::associated_allocator_t<Handler>>::template rebind_alloc<task_operation>;

public:
    /// @param otherwise  the executor of a handler that has none
    /// @throws what allocating throws
    static void start(home& where, task<V>&& work, const Default& otherwise, Handler&& handler)
    {
        allocator_type allocator(boost::asio::get_associated_allocator(handler));
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        const auto self = make(allocator, otherwise, std::move(handler));
        // After its home, and so it hears first of the context's end, and posts no more when the home ends the task.
        self->join_context(*self->executor_);
        self->spawn(where, std::move(work));
        self->retain(); // the task's
        if (slot.is_connected())
            slot.template emplace<cancellation>(self);
        self->begin();
    }

private:
    class cancellation {
    public:
        explicit cancellation(shared_reference<task_operation> operation) noexcept
            : operation_(std::move(operation))
        {
        }

        void operator()(boost::asio::cancellation_type type)
        {
            using boost::asio::cancellation_type;
            constexpr auto any = cancellation_type::terminal | cancellation_type::partial | cancellation_type::total;
            if ((type & any) != cancellation_type::none)
                operation_->abort(cancel_reason::aborted);
        }

    private:
        shared_reference<task_operation> operation_;
    };

    /// On its way to the handler's executor. If that destroys it instead, the handler goes with it.
    class completion {
    public:
        explicit completion(shared_reference<task_operation> operation) noexcept
            : operation_(std::move(operation))
        {
        }

        completion(completion&&) noexcept = default;
        completion& operator=(completion&&) = delete;

        ~completion()
        {
            if (operation_)
                operation_->forget();
        }

        void operator()()
        {
            task_operation::complete(std::move(operation_));
        }

    private:
        shared_reference<task_operation> operation_;
    };

    task_operation(const Default& otherwise, Handler&& handler)
        : allocator_(boost::asio::get_associated_allocator(handler))
        , executor_(boost::asio::get_associated_executor(handler, otherwise))
        , work_(*executor_)
        , handler_(std::move(handler))
    {
    }

    static shared_reference<task_operation> make(allocator_type& allocator, const Default& otherwise, Handler&& handler)
    {
        using traits = std::allocator_traits<allocator_type>;
        task_operation* const memory = traits::allocate(allocator, 1);
        try {
            return shared_reference<task_operation>::adopt(::new (static_cast<void*>(memory))
                                                               task_operation(otherwise, std::move(handler)));
        } catch (...) {
            traits::deallocate(allocator, memory, 1);
            throw;
        }
    }

    void destroy() noexcept override
    {
        allocator_type allocator(allocator_);
        std::destroy_at(this);
        std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
    }

    void child_ended() noexcept override
    {
        completion done(shared_reference<task_operation>::adopt(this)); // the task's reference
        if (is_context_gone_.load(std::memory_order_acquire))
            return;
        const executor_type executor = *executor_;
        try {
            boost::asio::post(executor, std::move(done));
        } catch (...) {
            // The executor refused, and the handler has gone with what was to call it.
        }
    }

    static void complete(shared_reference<task_operation> self)
    {
        std::optional<join_result<V>> result;
        std::exception_ptr failure;
        try {
            result.emplace(self->take());
            if (result->has_error())
                failure = failure_of(result->error());
        } catch (...) {
            failure = std::current_exception();
        }
        boost::asio::get_associated_cancellation_slot(*self->handler_).clear();
        Handler handler(std::move(*self->handler_));
        const auto work = std::move(self->work_);
        self = {};
        if constexpr (std::is_void_v<V>)
            std::move(handler)(std::move(failure));
        else if (failure)
            std::move(handler)(std::move(failure), V());
        else
            std::move(handler)(std::exception_ptr(), std::move(**result));
    }

    /// Destroys what belongs to the handler's context. A slot that stays connected may keep the rest beyond its end.
    void forget() noexcept
    {
        handler_.reset();
        work_.reset();
        executor_.reset();
    }

    void context_gone() noexcept override
    {
        is_context_gone_.store(true, std::memory_order_release);
    }

    [[no_unique_address]] allocator_type allocator_;
    std::optional<executor_type> executor_;
    std::optional<boost::asio::executor_work_guard<executor_type>> work_;
    std::optional<Handler> handler_;
    std::atomic<bool> is_context_gone_{false};
};

} // namespace joinery::detail
