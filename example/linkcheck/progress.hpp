// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "site.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace linkcheck {

/// One line that fits the width: how far the check has come.
std::string progress_line(const site::progress& now, std::size_t width);

/// A bar on the terminal that standard error is; without one it does nothing.
class progress_bar {
public:
    explicit progress_bar(bool wanted);
    ~progress_bar();

    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;

    /// Draws the bar anew, unless it has just done so.
    void show(const site::progress& now);

    /// Takes the bar off the screen, before something else is written.
    void clear();

private:
    const bool active_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point next_;
};

} // namespace linkcheck
