// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace linkcheck {

/// What a static file server answers to a request for a target.
struct static_answer {
    unsigned status = 404;
    std::string content_type;
    std::string location;       ///< of a redirect
    std::filesystem::path file; ///< to be sent; empty if `text` is
    std::string text;
};

/// Finds what a request target means below the directory `root`.
/**
 * A directory is answered with its `index.html`, or else with a list of what is in it; without the
 * slash at its end it is a redirect. Nothing above `root` can be named, but symbolic links are
 * followed.
 */
static_answer find_static(const std::filesystem::path& root, std::string_view target);

} // namespace linkcheck
