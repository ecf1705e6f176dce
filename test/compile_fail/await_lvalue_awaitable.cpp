// expect: joinery: an awaitable is awaited once; write co_await std::move\(the_awaitable\)
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/task.hpp>

#include <boost/asio/awaitable.hpp>

#include <utility>

boost::asio::awaitable<int> inner();

joinery::task<int> outer()
{
    boost::asio::awaitable<int> named = inner();
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    co_return co_await named;
#endif
    co_return co_await std::move(named);
}
