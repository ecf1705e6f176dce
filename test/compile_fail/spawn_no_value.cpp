// expect: joinery: the work's value cannot be converted to the value type of the set or map
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_set.hpp>

#include <boost/asio/io_context.hpp>

void misuse(boost::asio::io_context& context)
{
    joinery::join_set<int> set(context);
    set.spawn([] { return 5; });
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    set.spawn([] {});
#endif
}
