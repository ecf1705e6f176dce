// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await_operation.hpp>

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution/bad_executor.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

template<class T>
inline constexpr bool is_awaitable = false;

template<class T, class Executor>
inline constexpr bool is_awaitable<boost::asio::awaitable<T, Executor>> = true;

/// Runs an `asio::awaitable` of no value as an operation, on the executor of the handler.
/** `co_spawn` wants a default-constructible value; so the value goes another way, see `awaitable_awaiter`. */
template<class Executor>
class spawned_awaitable {
public:
    explicit spawned_awaitable(boost::asio::awaitable<void, Executor>&& work)
        : work_(std::move(work))
    {
    }

    template<class Handler>
    void operator()(Handler&& handler) &&
    {
        const boost::asio::any_io_executor where = handler.get_executor();
        if constexpr (std::is_convertible_v<const boost::asio::any_io_executor&, Executor>) {
            boost::asio::co_spawn(where, std::move(work_), std::forward<Handler>(handler));
        } else {
            const Executor* const exact = where.target<Executor>();
            if (!exact)
                throw boost::asio::execution::bad_executor();
            boost::asio::co_spawn(*exact, std::move(work_), std::forward<Handler>(handler));
        }
    }

private:
    boost::asio::awaitable<void, Executor> work_;
};

/// Awaits an `asio::awaitable`.
template<class T, class Executor>
class awaitable_awaiter : public operation_awaiter<spawned_awaitable<Executor>, void(std::exception_ptr)> {
    using base = operation_awaiter<spawned_awaitable<Executor>, void(std::exception_ptr)>;

public:
    explicit awaitable_awaiter(boost::asio::awaitable<T, Executor>&& work)
        : base(spawned_awaitable<Executor>(store(std::move(work), value_)))
    {
    }

    T await_resume()
    {
        base::await_resume();
        return std::move(*value_);
    }

private:
    static boost::asio::awaitable<void, Executor> store(boost::asio::awaitable<T, Executor> work,
                                                        std::optional<T>& value)
    {
        value.emplace(co_await std::move(work));
    }

    std::optional<T> value_;
};

template<class Executor>
class awaitable_awaiter<void, Executor>
    : public operation_awaiter<spawned_awaitable<Executor>, void(std::exception_ptr)> {
    using base = operation_awaiter<spawned_awaitable<Executor>, void(std::exception_ptr)>;

public:
    explicit awaitable_awaiter(boost::asio::awaitable<void, Executor>&& work)
        : base(spawned_awaitable<Executor>(std::move(work)))
    {
    }
};

} // namespace joinery::detail
