// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace linkcheck {

/// A reference as it stands on a page.
struct page_link {
    std::string reference;
    int line = 0;

    friend bool operator==(const page_link&, const page_link&) = default;
};

/// What a page says about links.
struct page {
    /// The `href` of its first `<base>`; empty if it has none.
    std::string base;
    /// In the order in which they stand on the page.
    std::vector<page_link> links;
    /// What a `#fragment` can mean on it: each `id`, and the `name` of each `<a>`; sorted.
    std::vector<std::string> anchors;
};

/// How much a page may cost. HTML5 lets a small page ask for a tree of quadratic size or time.
struct html_limits {
    std::size_t memory = std::size_t{1} << 29U;
    std::chrono::steady_clock::duration time = std::chrono::seconds(30);
};

/// Thrown when a page costs more than the limits allow, or when a stop was requested.
struct page_too_complex : std::runtime_error {
    page_too_complex();
};

/// Parses HTML in UTF-8, well-formed or not.
page parse_html(std::string_view html, const html_limits& limits = {}, std::stop_token stop = {});

/// Finds the references in a style sheet.
page parse_css(std::string_view css);

} // namespace linkcheck
