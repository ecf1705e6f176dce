// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace linkcheck {

/// A page on which a link stands, and the lines of it; no page if it was given by the user.
struct place {
    std::string page;
    std::vector<int> lines;

    friend auto operator<=>(const place&, const place&) = default;
};

/// What became of one link.
struct finding {
    std::string url;
    std::string kind;    ///< one word: why it is broken, skipped or unchecked; empty if it is fine
    std::string message; ///< the same for the reader
    std::vector<place> places;

    friend auto operator<=>(const finding&, const finding&) = default;
};

/// What became of every link. Each list is sorted, so that equal sites have equal reports.
struct report {
    std::size_t links = 0; ///< different ones, counted as they were found
    std::size_t pages = 0; ///< pages that were searched for links
    std::vector<finding> broken;
    std::vector<finding> fine;
    std::vector<finding> skipped;
    std::vector<finding> unchecked;
    bool interrupted = false;
};

enum class report_format { text, json };

struct report_style {
    report_format format = report_format::text;
    bool verbose = false; ///< lists also the links that are not broken, and every page
};

/// Writes the report. Nothing that a page or a server said reaches the stream unescaped.
void write(std::ostream& out, const report& result, report_style style);

/// 0 if every link was either found to be fine or skipped, and 1 otherwise.
int exit_status(const report& result);

} // namespace linkcheck
