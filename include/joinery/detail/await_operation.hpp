// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/awaiting_task.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// An Asio asynchronous operation that lacks nothing but its completion token.
template<class T>
concept awaitable_operation =
    std::is_class_v<std::decay_t<T>> && boost::asio::is_async_operation<std::decay_t<T>>::value &&
    requires { typename boost::asio::completion_signature_of<std::decay_t<T>>::type; };

template<class Signature>
struct signature_result;

/// The values that an operation's completion signature leaves when its leading error is taken off.
template<class... Args>
struct signature_result<void(Args...)> {
    using type = std::tuple<std::decay_t<Args>...>;
};

template<class... Values>
auto unpack(std::tuple<Values...>&& values)
{
    if constexpr (sizeof...(Values) == 1)
        return std::get<0>(std::move(values));
    else if constexpr (sizeof...(Values) > 1)
        return std::move(values);
}

template<class Error, class... Values>
auto without_first(std::tuple<Error, Values...>&& all)
{
    return std::apply([](Error&, Values&... values) { return std::tuple<Values...>(std::move(values)...); }, all);
}

/// What a `co_await` of an operation yields: its values, or its error as an exception.
template<class... Args>
auto completion_value(std::tuple<Args...>&& results)
{
    using first = std::tuple_element_t<0, std::tuple<Args..., void>>;
    if constexpr (std::is_same_v<first, boost::system::error_code>) {
        if (const boost::system::error_code& error = std::get<0>(results))
            throw boost::system::system_error(error);
        return unpack(without_first(std::move(results)));
    } else if constexpr (std::is_same_v<first, std::exception_ptr>) {
        if (const std::exception_ptr& exception = std::get<0>(results))
            std::rethrow_exception(exception);
        return unpack(without_first(std::move(results)));
    } else {
        return unpack(std::move(results));
    }
}

/// The handler of an operation that a task awaits: continues the task, by completion or by its own destruction.
template<class Awaiter>
class operation_handler {
public:
    using executor_type = boost::asio::any_io_executor;
    using cancellation_slot_type = boost::asio::cancellation_slot;

    explicit operation_handler(Awaiter& awaiter) noexcept
        : awaiter_(&awaiter)
    {
    }

    operation_handler(operation_handler&& other) noexcept
        : awaiter_(std::exchange(other.awaiter_, nullptr))
    {
    }

    operation_handler& operator=(operation_handler&&) = delete;

    ~operation_handler()
    {
        if (awaiter_)
            awaiter_->handler_lost();
    }

    template<class... Args>
    void operator()(Args&&... args)
    {
        std::exchange(awaiter_, nullptr)->completed(std::forward<Args>(args)...);
    }

    executor_type get_executor() const noexcept
    {
        return awaiter_->executor();
    }

    cancellation_slot_type get_cancellation_slot() const noexcept
    {
        return awaiter_->slot();
    }

    awaiting_task get_awaiting_task() const noexcept
    {
        return awaiter_->awaiting();
    }

private:
    Awaiter* awaiter_;
};

/// Awaits an operation: starts it once the coroutine is suspended, and cancels it when the task is aborted.
/**
 * The operation's handler is bound to the task's home, so the operation's intermediate steps, its cancellation
 * and its end come one after another. A handler that the user bound elsewhere comes back to the home. If the home ends
 * before the operation, which may be another context's, it cancels the operation.
 */
template<class Operation, class Signature>
class operation_awaiter : protected cancellable_suspension, protected parked_link {
    using results = typename signature_result<Signature>::type;

public:
    explicit operation_awaiter(Operation&& operation)
        : operation_(std::move(operation))
    {
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        task_ = &waiter.promise().root();
        prepare(*task_, waiter, wait_kind::operation);
    }

    decltype(auto) await_resume()
    {
        if (is_parked())
            unpark();
        if (failure_)
            std::rethrow_exception(std::move(failure_));
        return completion_value(std::move(*results_));
    }

protected:
    void initiate(task_node& task) noexcept override
    {
        task.where().operation_began();
        park(task.where().operations_);
        try {
            // From here on the frame may go at any time, so the operation leaves it.
            Operation operation = std::move(*operation_);
            operation_.reset();
            std::move(operation)(operation_handler<operation_awaiter>(*this));
        } catch (...) {
            // The handler, if there was one, has gone with the exception, and said that it was lost.
            failure_ = std::current_exception();
            if (!lost)
                task.where().operation_ended();
            lost = false;
            task.step_.ended = true;
        }
    }

    void request_end(task_node&) noexcept override
    {
        if (!over_.load(std::memory_order_acquire))
            signal_.emit(boost::asio::cancellation_type::terminal);
    }

    void home_gone() noexcept override
    {
        receive_end_of_home(*task_);
    }

    std::optional<Operation> operation_;
    std::optional<results> results_;
    std::exception_ptr failure_;
    task_node* task_ = nullptr;

private:
    friend class operation_handler<operation_awaiter>;

    template<class... Args>
    void completed(Args&&... args) noexcept
    {
        try {
            results_.emplace(std::forward<Args>(args)...);
        } catch (...) {
            failure_ = std::current_exception();
        }
        over_.store(true, std::memory_order_release);
        task_->where().operation_ended();
        operation_over(*task_);
    }

    void handler_lost() noexcept
    {
        lost = true;
        over_.store(true, std::memory_order_release);
        // The task may end at once, and with it what kept its home.
        const shared_reference<home> where(task_->where());
        operation_over(*task_);
        where->operation_ended();
    }

    boost::asio::any_io_executor executor() const noexcept
    {
        return task_->where().executor();
    }

    boost::asio::cancellation_slot slot() noexcept
    {
        return signal_.slot();
    }

    awaiting_task awaiting() noexcept
    {
        return {task_, this};
    }

    boost::asio::cancellation_signal signal_;
    std::atomic<bool> over_{false};
};

/// The awaiter for an operation. Some operations of ours have one of their own.
template<class Operation, class Signature>
struct awaiter_of_operation {
    using type = operation_awaiter<Operation, Signature>;
};

} // namespace joinery::detail
