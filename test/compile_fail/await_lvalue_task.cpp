// expect: joinery: a task is awaited once; write co_await std::move\(the_task\)
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/task.hpp>

#include <utility>

joinery::task<int> inner();

joinery::task<int> outer()
{
    joinery::task<int> named = inner();
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    co_return co_await named;
#endif
    co_return co_await std::move(named);
}
