// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bench {

/// Keeps 1,000 tasks in flight: joins one and spawns one, n times.
struct steady {
    static constexpr std::string_view name = "steady";
    static constexpr std::uint64_t in_flight = 1'000;

    template<class Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::uint64_t>();
        std::uint64_t sum = 0;
        std::uint64_t key = 0;
        while (key != in_flight) {
            tasks.spawn(key, Subject::value(key));
            ++key;
        }
        measured.start();
        while (key != in_flight + n) {
            auto done = co_await tasks.async_join_next();
            sum += *done->result;
            tasks.spawn(key, Subject::value(key));
            ++key;
        }
        measured.stop(n);
        while (auto done = co_await tasks.async_join_next())
            sum += *done->result;
        require(sum == key * (key - 1) / 2, "steady: a value is wrong");
    }
};

} // namespace bench
