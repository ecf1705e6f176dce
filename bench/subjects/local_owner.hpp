// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/local_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <utility>

namespace bench {

/// The workload is a task on the thread of the program, which spawns and joins.
class local_owner {
public:
    using owner = joinery::task<>;
    static constexpr bool has_blocking = true;

    void run(owner workload)
    {
        local_.run_until(std::move(workload));
    }

    static auto yield()
    {
        return joinery::this_task::yield();
    }

protected:
    joinery::local_set local_;
};

} // namespace bench
