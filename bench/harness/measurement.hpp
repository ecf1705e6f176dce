// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "allocations.hpp"
#include "resident_memory.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#endif

namespace bench {

/// What one pass of a workload took, between its `start` and its `stop`.
/** Under `valgrind --tool=callgrind --collect-atstart=no` the instructions between them are what is counted. */
class measurement {
public:
    void start()
    {
        blocks_ = allocation_count::so_far();
        started_ = clock::now();
        CALLGRIND_TOGGLE_COLLECT;
    }

    void stop(std::size_t operations)
    {
        CALLGRIND_TOGGLE_COLLECT;
        const std::chrono::duration<double, std::nano> elapsed = clock::now() - started_;
        const auto count = static_cast<double>(operations);
        nanoseconds_ = elapsed.count() / count;
        allocations_ = static_cast<double>(allocation_count::so_far() - blocks_) / count;
        resident_ = resident_memory();
    }

    /// Nanoseconds per operation.
    double nanoseconds() const noexcept
    {
        return nanoseconds_;
    }

    /// Blocks of memory per operation, if an `allocation_count` lived meanwhile.
    double allocations() const noexcept
    {
        return allocations_;
    }

    /// Resident memory of the process at the `stop`.
    std::size_t resident() const noexcept
    {
        return resident_;
    }

private:
    using clock = std::chrono::steady_clock;

    clock::time_point started_;
    std::uint64_t blocks_ = 0;
    double nanoseconds_ = 0;
    double allocations_ = 0;
    std::size_t resident_ = 0;
};

} // namespace bench
