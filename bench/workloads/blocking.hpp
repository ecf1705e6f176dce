// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

/// As spawn_join, with functions that run on the threads for what blocks.
struct blocking {
    static constexpr std::string_view name = "blocking";

    template<class Subject>
        requires Subject::has_blocking
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        std::uint64_t sum = 0;
        measured.start();
        for (std::uint64_t key = 0; key != n; ++key)
            tasks.spawn_blocking(key, [key] { return key; });
        while (auto done = co_await tasks.async_join_next())
            sum += *done->result;
        measured.stop(n);
        require(sum == n * (n - 1) / 2, "blocking: a value is wrong");
    }
};

} // namespace bench
