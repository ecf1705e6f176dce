// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"
#include "spawn_pending.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

/// Spawns n tasks that wait, until all of them do. Also the workload that shows the memory of a waiting task.
struct pending_spawn {
    static constexpr std::string_view name = "pending_spawn";

    template<can_wait Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        measured.start();
        co_await spawn_pending<Subject>(tasks, n);
        measured.stop(n);
        require(tasks.size() == n, "pending_spawn: a task is missing");
        co_await tasks.async_shutdown();
    }
};

} // namespace bench
