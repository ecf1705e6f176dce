// expect: joinery: the value of a task is void, or an object type that can be moved and destroyed
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/task.hpp>

joinery::task<int> value();
#ifndef JOINERY_COMPILE_FAIL_CONTROL
joinery::task<int&> reference()
{
    static int number = 5;
    co_return number;
}
#endif
