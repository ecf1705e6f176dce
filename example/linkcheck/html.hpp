// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

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

/// Thrown when a page takes more memory than it may, or when a stop was requested.
struct page_too_complex : std::runtime_error {
    page_too_complex();
};

/// Parses HTML in UTF-8, well-formed or not. A small page can ask for a tree of quadratic size or time: HTML5 lets it.
page parse_html(std::string_view html, std::size_t max_memory = std::size_t{1} << 29U, std::stop_token stop = {});

/// Finds the references in a style sheet.
page parse_css(std::string_view css);

} // namespace linkcheck
