// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

/// Spawns n tasks that return at once, then joins them all.
struct spawn_join {
    static constexpr std::string_view name = "spawn_join";

    template<class Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        std::uint64_t sum = 0;
        measured.start();
        for (std::uint64_t key = 0; key != n; ++key)
            tasks.spawn(key, Subject::value(key));
        while (auto done = co_await tasks.async_join_next())
            sum += *done->result;
        measured.stop(n);
        require(sum == n * (n - 1) / 2, "spawn_join: a value is wrong");
    }
};

} // namespace bench
