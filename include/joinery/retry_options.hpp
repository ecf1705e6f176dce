// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>

namespace joinery {

/// How often, and how soon, `retry` tries again.
/** The delay before the second attempt is `first_delay`; each further one is `multiplier` times the one before. */
struct retry_options {
    int attempts = 3;                                                      ///< in all; at least 1
    std::chrono::nanoseconds first_delay = std::chrono::milliseconds(100); ///< not negative
    double multiplier = 2;                                                 ///< finite, and at least 1
    std::chrono::nanoseconds max_delay = std::chrono::seconds(30);         ///< not negative
    double jitter =
        0.5; ///< the part of each delay, from 0 to 1, that is random: so that clients do not come all at once
};

} // namespace joinery
