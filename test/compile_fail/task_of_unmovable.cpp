// expect: joinery: the value of a task is void, or an object type that can be moved and destroyed
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/task.hpp>

#include <memory>
#include <mutex>

joinery::task<std::unique_ptr<std::mutex>> movable()
{
    co_return std::make_unique<std::mutex>();
}
#ifndef JOINERY_COMPILE_FAIL_CONTROL
joinery::task<std::mutex> unmovable()
{
    throw 5;
    co_await movable();
}
#endif
