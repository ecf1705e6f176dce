// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linkcheck {

/// What can be done about a link.
enum class link_kind {
    web,       ///< it can be asked for over HTTP or HTTPS
    skipped,   ///< a scheme that is known and not checked, such as mailto
    malformed, ///< nobody could follow it, and `link_url::problem` says why
};

/// A link as it was understood: absolute, normalised, and taken apart at its `#`.
struct link_url {
    link_kind kind = link_kind::malformed;
    /// Of a web link the normalised absolute URL without its fragment: two links that differ only
    /// in spelling have the same one, so it serves as the key of the request. Of another link its
    /// text, made printable and not longer than a few lines.
    std::string url;
    /// What follows the `#`, still percent-encoded; empty if there is nothing.
    std::string fragment;
    /// Why the link is malformed, or which scheme was skipped.
    std::string problem;

    /// The whole of it, with the fragment.
    std::string text() const;

    friend bool operator==(const link_url&, const link_url&) = default;
};

/// Understands a reference that stands on the page `base`, as forgivingly as a browser does.
/**
 * Spaces around it and line breaks within are dropped, backslashes are taken for slashes, and
 * characters that a URL may not hold are percent-encoded. What stays wrong makes it malformed: a
 * host or a port that is none, a `%` without two hexadecimal digits, an unknown scheme.
 *
 * Normalised are: the case of scheme, host and percent-encodings; international host names (to
 * their ASCII form); default ports; percent-encoded letters, digits and `-._~` (decoded); `.` and
 * `..` segments; an empty path (to `/`). Credentials are dropped.
 *
 * @param base a web link's `url`; or empty, and then only an absolute reference can be understood
 */
link_url resolve(std::string_view base, std::string_view reference);

/// What a connection needs to know of a web link's URL.
struct endpoint {
    bool tls = false;
    std::string host; ///< without the brackets of an IPv6 address
    std::uint16_t port = 0;
    std::string target; ///< path and query

    bool is_ip_address() const;
    /// As the `Host` field has it: brackets around IPv6, no default port.
    std::string host_field() const;
};

/// Takes a web link's `url` apart.
endpoint endpoint_of(std::string_view url);

/// `host:port` of a web link's `url`: what counts as one host.
std::string host_of(std::string_view url);

/// The text with its percent-encodings decoded; a `%` that encodes nothing stays.
std::string percent_decoded(std::string_view text);

} // namespace linkcheck
