// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>

namespace bench {

/// While it lives, every block that the program takes from the C library is counted: those of `operator new`, and
/// those that Asio takes with `std::aligned_alloc`, which an `operator new` of ours would not see.
/** Costs a load of a flag where nothing is counted, so that the timed passes pay next to nothing. */
class allocation_count {
public:
    allocation_count() noexcept;
    ~allocation_count();

    allocation_count(const allocation_count&) = delete;
    allocation_count& operator=(const allocation_count&) = delete;

    /// Blocks so far, on all threads.
    static std::uint64_t so_far() noexcept;
};

} // namespace bench
