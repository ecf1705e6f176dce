// expect: joinery: a task cannot await this. It awaits a joinery::task or an asio::awaitable
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/task.hpp>

#include <string>

joinery::task<void> outer()
{
    const std::string text = "not to be awaited";
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    co_await text;
#endif
    co_return;
}
