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

/// Aborts n waiting tasks one by one, by key, in random order, and joins them.
struct abort_key {
    static constexpr std::string_view name = "abort_key";

    template<can_wait Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        co_await spawn_pending<Subject>(tasks, n);
        const std::vector<std::uint64_t> keys = shuffled(0, n);
        std::size_t aborted = 0;
        measured.start();
        for (const std::uint64_t key : keys)
            tasks.abort(key);
        while (auto done = co_await tasks.async_join_next())
            aborted += done->result.has_error();
        measured.stop(n);
        require(aborted == n, "abort_key: not every task was aborted");
    }
};

} // namespace bench
