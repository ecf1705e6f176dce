// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/retry_options.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

namespace joinery::detail {

/// The delays between attempts, one after the other. Knows neither clock nor source of randomness.
class retry_delays {
public:
    /// @throws std::invalid_argument  if the options make no sense
    explicit retry_delays(const retry_options& options)
        : left_(options.attempts)
        , delay_(std::min(options.first_delay, options.max_delay))
        , most_(options.max_delay)
        , multiplier_(options.multiplier)
        , jitter_(options.jitter)
    {
        using std::chrono::nanoseconds;
        if (options.attempts < 1)
            throw std::invalid_argument("joinery: retry needs one attempt at least");
        if (options.first_delay < nanoseconds(0) || options.max_delay < nanoseconds(0))
            throw std::invalid_argument("joinery: the delays of a retry cannot be negative");
        if (!std::isfinite(multiplier_) || multiplier_ < 1)
            throw std::invalid_argument("joinery: the multiplier of a retry is finite, and not less than 1");
        if (!(jitter_ >= 0 && jitter_ <= 1))
            throw std::invalid_argument("joinery: the jitter of a retry is between 0 and 1");
    }

    /// Whether there may be another attempt.
    bool any_left() const noexcept
    {
        return left_ > 1;
    }

    /// The delay before the next attempt. @param random  between 0 and 1  @pre `any_left()`
    std::chrono::nanoseconds next(double random) noexcept
    {
        --left_;
        const duration now = delay_;
        // In floating point, where what is too large for a clock is still a number.
        delay_ = std::min(delay_ * multiplier_, most_);
        // The longest delay may be rounded up, beyond what a clock can count.
        const duration chosen = now * (1 - jitter_ + jitter_ * random);
        const auto most = std::chrono::nanoseconds::max();
        return chosen >= duration(most) ? most : std::chrono::duration_cast<std::chrono::nanoseconds>(chosen);
    }

private:
    using duration = std::chrono::duration<double, std::nano>;

    int left_; // with the one that is being made
    duration delay_;
    duration most_;
    double multiplier_;
    double jitter_;
};

} // namespace joinery::detail
