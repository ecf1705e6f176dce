// expect: joinery: a task is spawned once; write std::move\(the_task\)
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <boost/asio/io_context.hpp>

#include <utility>

joinery::task<int> number();

void misuse(boost::asio::io_context& context)
{
    joinery::join_map<int, int> map(context);
    joinery::task<int> named = number();
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    map.spawn(1, named);
#endif
    map.spawn(1, std::move(named));
}
