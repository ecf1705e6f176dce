// expect: return_value
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/task.hpp>

#include <vector>

joinery::task<std::vector<int>> numbers()
{
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    co_return 5; // as in a function: a vector of five zeros must be asked for by name
#endif
    co_return std::vector<int>(5);
}
