// expect: joinery: the function's value cannot be converted to the value type of the set or map
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <boost/asio/io_context.hpp>

#include <string>

void misuse(boost::asio::io_context& context)
{
    joinery::join_map<int, std::string> map(context);
    map.spawn_blocking(1, [] { return "text"; });
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    map.spawn_blocking(2, [](std::stop_token) { return 5.0; });
#endif
}
