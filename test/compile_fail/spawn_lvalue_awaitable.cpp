// expect: joinery: an awaitable is spawned once; write std::move\(the_awaitable\)
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_set.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <utility>

boost::asio::awaitable<int> number();

void misuse(boost::asio::io_context& context)
{
    joinery::join_set<int> set(context);
    boost::asio::awaitable<int> named = number();
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    set.spawn(named);
#endif
    set.spawn(std::move(named));
}
