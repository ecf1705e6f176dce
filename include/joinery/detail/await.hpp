// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await_awaitable.hpp>
#include <joinery/detail/await_operation.hpp>
#include <joinery/detail/redirect_error_repair.hpp>
#include <joinery/detail/task_promise.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/assert.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

namespace joinery {

template<class V>
class task;

namespace detail {

template<class V>
class task_promise;

template<class T>
inline constexpr bool is_task = false;

template<class V>
inline constexpr bool is_task<task<V>> = true;

/// What the library may do with a task and its user may not.
struct task_access {
    template<class V>
    static task_promise<V>& promise(const task<V>& work) noexcept
    {
        return work.coroutine_.promise();
    }

    template<class V>
    static std::coroutine_handle<> coroutine(const task<V>& work) noexcept
    {
        return work.coroutine_;
    }

    template<class V>
    static task_node& node(const task<V>& work) noexcept
    {
        return task_node::of_frame(work.coroutine_.address());
    }

    /// Gives up the coroutine, which belongs to its node from now on.
    template<class V>
    static task_node& release(task<V>& work) noexcept
    {
        return task_node::of_frame(std::exchange(work.coroutine_, {}).address());
    }
};

/// Awaits a task as a part of the one that awaits.
template<class V>
class task_awaiter {
public:
    explicit task_awaiter(task<V>&& work) noexcept
        : work_(std::move(work))
    {
        BOOST_ASSERT_MSG(work_, "co_await of a task that was moved from");
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> waiter) noexcept
    {
        return_.root = &waiter.promise().root();
        return_.waiter = waiter;
        task_access::promise(work_).returns_to(return_);
        return task_access::coroutine(work_);
    }

    V await_resume()
    {
        if (return_.result.index() == 2)
            std::rethrow_exception(std::get<2>(std::move(return_.result)));
        if constexpr (!std::is_void_v<V>)
            return std::get<1>(std::move(return_.result));
    }

private:
    task<V> work_;
    nested_return<V> return_;
};

template<class F>
concept nullary = std::invocable<F&>;

template<class Work>
auto await(Work&& work);

template<class T>
concept can_await = is_task<std::remove_cvref_t<T>> || is_awaitable<std::remove_cvref_t<T>> || awaitable_operation<T>;

/// Awaits what a function returns; the function lives as long.
template<class F>
class call_awaiter {
    using awaiter = decltype(await(std::declval<F&>()()));

public:
    explicit call_awaiter(F&& function)
        : function_(std::move(function))
        , awaiter_(await(function_()))
    {
    }

    bool await_ready() noexcept
    {
        return awaiter_.await_ready();
    }

    template<class Promise>
    auto await_suspend(std::coroutine_handle<Promise> waiter)
    {
        return awaiter_.await_suspend(waiter);
    }

    decltype(auto) await_resume()
    {
        return awaiter_.await_resume();
    }

private:
    F function_;
    awaiter awaiter_;
};

/// Yields what a function returns, which is called when it is awaited.
template<class F>
class value_call_awaiter {
public:
    explicit value_call_awaiter(F&& function)
        : function_(std::move(function))
    {
    }

    bool await_ready() const noexcept
    {
        return true;
    }

    void await_suspend(std::coroutine_handle<>) const noexcept
    {
    }

    decltype(auto) await_resume()
    {
        return function_();
    }

private:
    F function_;
};

/// What the tasks of the library itself await: it says what its awaiter is.
template<class T>
concept brings_awaiter = requires { typename T::awaiter_brought; };

/// The awaiter for each thing that a task can await.
template<class Work>
auto await(Work&& work)
{
    using plain = std::decay_t<Work>;
    if constexpr (brings_awaiter<plain>) {
        return typename plain::awaiter_brought(std::move(work));
    } else if constexpr (is_task<plain>) {
        static_assert(!std::is_lvalue_reference_v<Work>,
                      "joinery: a task is awaited once; write co_await std::move(the_task)");
        return task_awaiter<typename plain::value_type>(std::move(work));
    } else if constexpr (is_awaitable<plain>) {
        static_assert(!std::is_lvalue_reference_v<Work>,
                      "joinery: an awaitable is awaited once; write co_await std::move(the_awaitable)");
        return awaitable_awaiter(std::move(work));
    } else if constexpr (awaitable_operation<Work>) {
        using signature = boost::asio::completion_signature_of_t<plain>;
        return typename awaiter_of_operation<plain, signature>::type(plain(std::forward<Work>(work)));
    } else if constexpr (nullary<plain>) {
        if constexpr (can_await<std::invoke_result_t<plain&>>)
            return call_awaiter<plain>(plain(std::forward<Work>(work)));
        else
            return value_call_awaiter<plain>(plain(std::forward<Work>(work)));
    } else {
        static_assert(sizeof(plain) == 0,
                      "joinery: a task cannot await this. It awaits a joinery::task or an asio::awaitable (as an "
                      "rvalue), an Asio operation with a token such as asio::deferred, a function without "
                      "parameters, asio::this_coro::executor, and what joinery::this_task offers");
    }
}

/// Marks foreign work, whose own rules say how it ends when its task is aborted.
template<class Work>
struct foreign_work {
    explicit foreign_work(Work&& given)
        : work(std::move(given))
    {
    }

    Work work;
};

} // namespace detail

} // namespace joinery
