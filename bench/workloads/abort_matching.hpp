// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"
#include "spawn_pending.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

/// Aborts every second one of n waiting tasks, by a predicate, and joins those; per aborted task.
struct abort_matching {
    static constexpr std::string_view name = "abort_matching";

    template<can_wait Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        co_await spawn_pending<Subject>(tasks, n);
        const std::size_t half = (n + 1) / 2;
        std::size_t aborted = 0;
        measured.start();
        tasks.abort_matching([](std::uint64_t key) { return key % 2 == 0; });
        for (std::size_t joined = 0; joined != half; ++joined) {
            auto done = co_await tasks.async_join_next();
            aborted += done->result.has_error();
        }
        measured.stop(half);
        require(aborted == half && tasks.size() == n - half, "abort_matching: not every second task was aborted");
        co_await tasks.async_shutdown();
    }
};

} // namespace bench
