// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace jobserver {

/// What the user asks for.
struct options {
    std::string address = "127.0.0.1";
    unsigned short port = 8080; ///< 0: any that is free
    unsigned threads = 2;
    std::size_t running = 4;      ///< jobs at once
    std::size_t waiting = 64;     ///< jobs that wait
    std::size_t results = 1000;   ///< outcomes that are kept
    std::size_t connections = 64; ///< at once
    std::chrono::milliseconds timeout{10'000};
    std::chrono::milliseconds grace{5'000};
    std::chrono::milliseconds patience{2'000};
};

/// Thrown when there is nothing to do but to leave: after `--help`, or when it was used wrongly.
struct early_exit : std::runtime_error {
    early_exit(int code, const std::string& text)
        : std::runtime_error(text)
        , status(code)
    {
    }

    int status; ///< 0, and the text goes to standard output; or 2, and it is an error
};

/// Reads the command line.
options parse_options(int argc, const char* const* argv);

} // namespace jobserver
