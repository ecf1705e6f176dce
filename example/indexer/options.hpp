// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace indexer {

/// What the user asks for.
struct options {
    std::optional<std::string> word; ///< to search for; without one, a directory is indexed
    std::string directory;           ///< absolute, without a slash at the end
    std::string database;            ///< absolute
    std::chrono::milliseconds delay{300};
    std::chrono::milliseconds grace{2000};
    std::uint64_t max_size = std::uint64_t{4} << 20U;
    unsigned jobs = 4;
    bool is_verbose = false;
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

} // namespace indexer
