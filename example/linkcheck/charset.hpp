// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>

namespace linkcheck {

/// The text of a page in UTF-8, as a browser would understand its bytes.
/**
 * The encoding is the one that a byte order mark tells, or else the `charset` of the content type,
 * or else that of a `<meta>` near the start. A page that says nothing is UTF-8 if it is well-formed
 * as that, and Windows-1252 otherwise. What the encoding does not have becomes U+FFFD.
 */
std::string to_utf8(std::string body, std::string_view content_type);

} // namespace linkcheck
