// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace linkcheck {

/// A reference in a style sheet, and how many lines below its start it stands.
struct css_reference {
    std::string reference;
    int line = 0;

    friend bool operator==(const css_reference&, const css_reference&) = default;
};

/// The targets of `url(…)` and of `@import "…"`, in order; comments and other strings have none.
std::vector<css_reference> css_references(std::string_view css);

} // namespace linkcheck
