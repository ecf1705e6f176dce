// expect: joinery: this cannot be spawned. Spawn a joinery::task, an asio::awaitable, a function without
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_set.hpp>

#include <boost/asio/io_context.hpp>

void misuse(boost::asio::io_context& context)
{
    joinery::join_set<int> set(context);
    set.spawn([]() -> joinery::task<int> { co_return 5; });
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    set.spawn([](int number) -> joinery::task<int> { co_return number; });
#endif
}
