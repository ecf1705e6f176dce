// expect: joinery: this cannot be spawned. Spawn a joinery::task, an asio::awaitable, a function without
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <boost/asio/io_context.hpp>

void misuse(boost::asio::io_context& context)
{
    joinery::join_map<int, int> map(context);
    map.spawn(1, [] { return 5; });
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    map.spawn(2, 5);
#endif
}
