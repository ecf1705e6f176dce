// expect: joinery: the work's value cannot be converted to the value type of the set or map
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <boost/asio/io_context.hpp>

#include <string>

joinery::task<int> number();
joinery::task<std::string> text();

void misuse(boost::asio::io_context& context)
{
    joinery::join_map<int, std::string> map(context);
    map.spawn(1, text());
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    map.spawn(2, number());
#endif
}
