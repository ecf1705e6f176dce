// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <chrono>
#include <cstdint>

namespace bench {

/// What tasks do, written as `joinery::task`.
struct task_work {
    using task = joinery::task<std::uint64_t>;

    static task value(std::uint64_t result)
    {
        co_return result;
    }

    static task yielding(std::uint64_t result, int times)
    {
        while (times-- != 0)
            co_await joinery::this_task::yield();
        co_return result;
    }

    static task pending()
    {
        co_await joinery::this_task::sleep_forever();
        co_return std::uint64_t(0);
    }

    template<class Guest>
    static task pending_with(Guest)
    {
        co_await joinery::this_task::sleep_forever();
        co_return std::uint64_t(0);
    }

    static task sleeping(std::uint64_t result)
    {
        co_await joinery::this_task::sleep_for(std::chrono::milliseconds(1));
        co_return result;
    }
};

} // namespace bench
