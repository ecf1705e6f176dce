// expect: joinery: spawn_blocking takes a function without parameters, or with one std::stop_token
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <boost/asio/io_context.hpp>

void misuse(boost::asio::io_context& context)
{
    joinery::join_map<int, int> map(context);
    map.spawn_blocking(1, [](std::stop_token) { return 5; });
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    map.spawn_blocking(2, [](const char*) { return 5; });
#endif
}
