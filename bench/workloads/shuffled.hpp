// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

namespace bench {

/// The n keys that begin with the first one, in the same random order every time.
inline std::vector<std::uint64_t> shuffled(std::uint64_t first, std::size_t n)
{
    std::vector<std::uint64_t> keys(n);
    std::iota(keys.begin(), keys.end(), first);
    std::shuffle(keys.begin(), keys.end(), std::mt19937_64(1));
    return keys;
}

} // namespace bench
