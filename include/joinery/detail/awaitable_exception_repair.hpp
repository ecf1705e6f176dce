// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/version.hpp>

#if BOOST_ASIO_VERSION < 102800

// Before Asio 1.28, an `asio::awaitable` cannot await what completes with `void(std::exception_ptr, T)`: it does not
// compile (https://github.com/chriskohlhoff/asio/issues/1172). It is to await a scope all the same.

#include <boost/asio/awaitable.hpp>

#include <exception>
#include <utility>

namespace boost::asio::detail {

template<class T, class Executor>
class awaitable_async_op_handler<void(std::exception_ptr, T), Executor> : public awaitable_thread<Executor> {
public:
    struct result_type {
        std::exception_ptr* failure;
        T* value;
    };

    awaitable_async_op_handler(awaitable_thread<Executor>* former, result_type& result)
        : awaitable_thread<Executor>(std::move(*former))
        , result_(result)
    {
    }

    void operator()(std::exception_ptr failure, T value)
    {
        result_ = {&failure, &value};
        this->entry_point()->top_of_stack_->attach_thread(this);
        this->entry_point()->top_of_stack_->clear_cancellation_slot();
        this->pump();
    }

    static T resume(result_type& result)
    {
        if (*result.failure)
            std::rethrow_exception(std::exchange(*result.failure, nullptr));
        return std::move(*result.value);
    }

private:
    result_type& result_;
};

} // namespace boost::asio::detail

#endif
