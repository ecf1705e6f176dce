// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

/// Spawns n pending tasks under one key, each of which replaces the one before, and shuts the map down.
struct replace {
    static constexpr std::string_view name = "replace";

    template<class Subject>
        requires requires { Subject::pending(); }
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        measured.start();
        for (std::size_t count = 0; count != n; ++count)
            tasks.spawn(0, Subject::pending());
        require(tasks.size() == 1, "replace: not one task under the key");
        co_await tasks.async_shutdown();
        measured.stop(n);
        require(tasks.size() == 0, "replace: a task is left");
    }
};

} // namespace bench
