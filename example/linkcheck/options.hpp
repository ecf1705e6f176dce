// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "report.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace linkcheck {

/// What the user asks for.
struct options {
    std::vector<std::string> starts;
    std::optional<std::filesystem::path> serve;
    int jobs = 10;
    double timeout = 30;
    int retries = 1;
    int max_redirects = 10;
    std::size_t max_body = std::size_t{10} << 20U;
    std::size_t max_urls = 100'000;
    int max_refusals = 5;
    bool check_external = true;
    bool check_fragments = true;
    bool show_progress = true;
    std::optional<std::filesystem::path> ca_file;
    std::string user_agent = "linkcheck/0.1";
    report_style style;
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

} // namespace linkcheck
