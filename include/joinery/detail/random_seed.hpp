// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/siphash.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <random>

namespace joinery::detail {

/// A new secret key, different for each call and unpredictable from outside of the process.
/** The system is asked once, as that may take a system call; later keys are derived from its answer. */
inline std::array<std::uint64_t, 2> random_seed()
{
    static const std::array<std::uint64_t, 2> secret = [] {
        std::random_device device;
        const auto word = [&device] {
            const std::uint64_t high = device();
            return high << 32 | static_cast<std::uint32_t>(device());
        };
        const std::uint64_t first = word();
        return std::array{first, word()};
    }();
    static std::atomic<std::uint64_t> counter{0};
    const auto derive = [](std::uint64_t number) {
        siphash<2, 4> hash(secret);
        hash.update(&number, sizeof(number));
        return hash.finish();
    };
    const std::uint64_t number = counter.fetch_add(2, std::memory_order_relaxed);
    return {derive(number), derive(number + 1)};
}

} // namespace joinery::detail
