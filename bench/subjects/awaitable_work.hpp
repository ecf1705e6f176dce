// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "async_wait_for_cancellation.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstdint>

namespace bench {

/// What tasks do, written as `asio::awaitable`.
struct awaitable_work {
    using task = boost::asio::awaitable<std::uint64_t>;

    static task value(std::uint64_t result)
    {
        co_return result;
    }

    static task yielding(std::uint64_t result, int times)
    {
        while (times-- != 0)
            co_await boost::asio::post(boost::asio::deferred);
        co_return result;
    }

    static task pending()
    {
        co_await async_wait_for_cancellation(boost::asio::deferred);
        co_return 0;
    }

    template<class Guest>
    static task pending_with(Guest)
    {
        co_await async_wait_for_cancellation(boost::asio::deferred);
        co_return 0;
    }

    static task sleeping(std::uint64_t result)
    {
        boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, std::chrono::milliseconds(1));
        co_await timer.async_wait(boost::asio::deferred);
        co_return result;
    }
};

} // namespace bench
