// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"
#include "shuffled.hpp"
#include "spawn_pending.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace bench {

/// Asks a map of n waiting tasks for n keys, in random order: all of them there, or none.
template<bool Hit>
struct contains {
    static constexpr std::string_view name = Hit ? "contains_hit" : "contains_miss";

    template<can_wait Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        co_await spawn_pending<Subject>(tasks, n);
        const std::vector<std::uint64_t> keys = shuffled(Hit ? 0 : n, n);
        std::size_t found = 0;
        measured.start();
        for (const std::uint64_t key : keys)
            found += tasks.contains(key);
        measured.stop(n);
        require(found == (Hit ? n : 0), "contains: an answer is wrong");
        co_await tasks.async_shutdown();
    }
};

} // namespace bench
