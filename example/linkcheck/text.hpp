// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace linkcheck {

/// The text as it may be shown: on a terminal, in one line, and inside JSON.
/**
 * What a page or a server says is untrusted. Control characters could drive the reader's terminal,
 * line breaks could forge lines of the report, and bytes that are not UTF-8 would make the JSON
 * invalid: each such byte is written as `\xNN`. Text beyond `limit` bytes is cut, and says so.
 */
std::string printable(std::string_view text, std::size_t limit = 300);

/// The length of the well-formed UTF-8 sequence that the text starts with, or 0.
std::size_t utf8_length(std::string_view text);

/// The text without the ASCII white space and control characters around it.
std::string_view trimmed(std::string_view text);

/// The text with the letters A to Z in lower case, whatever the locale.
std::string lower_case(std::string_view text);

} // namespace linkcheck
