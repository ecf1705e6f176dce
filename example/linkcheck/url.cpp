// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "url.hpp"

#include "text.hpp"

#include <boost/url/grammar/alnum_chars.hpp>
#include <boost/url/grammar/alpha_chars.hpp>
#include <boost/url/grammar/digit_chars.hpp>
#include <boost/url/grammar/hexdig_chars.hpp>
#include <boost/url/grammar/lut_chars.hpp>
#include <boost/url/ipv4_address.hpp>
#include <boost/url/ipv6_address.hpp>
#include <boost/url/rfc/pchars.hpp>
#include <boost/url/rfc/sub_delim_chars.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <idn2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <stdexcept>

// Boost.URL 1.81 supplies the character sets and the address parsers. Its parser and resolver are
// not used: they keep the `..` that leaves the root, and split the host `1.2.3.4.example` in two.

namespace linkcheck {
namespace {

namespace urls = boost::urls;
namespace grammar = boost::urls::grammar;

// Servers and browsers refuse more; it also bounds what a hostile page makes us keep.
constexpr std::size_t longest_url = 16'384;

constexpr grammar::lut_chars path_chars = urls::pchars + grammar::lut_chars("/");
constexpr grammar::lut_chars query_chars = urls::pchars + grammar::lut_chars("/?");
constexpr grammar::lut_chars scheme_chars = grammar::alnum_chars + grammar::lut_chars("+-.");
constexpr grammar::lut_chars host_chars = urls::unreserved_chars + urls::sub_delim_chars;

// Schemes that pages link to and that a link checker has nothing to ask about. A scheme that is
// not here is more likely a slip of the pen (`htp:`, `C:\page.html`) than a link.
constexpr auto skipped_schemes = std::to_array<std::string_view>({
    "about",      "acct",     "apt",    "bitcoin",  "blob",   "callto",      "cid",    "data",     "doi",
    "ed2k",       "facetime", "feed",   "file",     "ftp",    "ftps",        "geo",    "git",      "gopher",
    "im",         "imap",     "info",   "intent",   "irc",    "irc6",        "ircs",   "jabber",   "jar",
    "javascript", "ldap",     "ldaps",  "magnet",   "mailto", "market",      "matrix", "mid",      "mms",
    "modem",      "mumble",   "news",   "nfs",      "nntp",   "openpgp4fpr", "pop",    "resource", "rsync",
    "rtsp",       "sftp",     "sip",    "sips",     "skype",  "sms",         "smb",    "snews",    "spotify",
    "ssh",        "steam",    "svn",    "tag",      "tel",    "telnet",      "tftp",   "urn",      "view-source",
    "vnc",        "vscode",   "webcal", "whatsapp", "ws",     "wss",         "xmpp",
});

// Says, by being thrown within this file only, why a reference is malformed.
struct malformed_reference : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The five parts of RFC 3986, appendix B. An absent part is not the same as an empty one.
struct reference_parts {
    std::optional<std::string> scheme;
    std::optional<std::string> authority;
    std::string path;
    std::optional<std::string> query;
    std::string fragment;
};

// A browser drops what surrounds a reference, and the line breaks and tabs inside it.
std::string without_line_breaks(std::string_view reference)
{
    std::string text(trimmed(reference));
    std::erase_if(text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; });
    return text;
}

std::optional<std::string> scheme_of(std::string_view text)
{
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || !grammar::alpha_chars(text[0])) {
        return std::nullopt;
    }
    const auto scheme = text.substr(0, colon);
    if (!std::all_of(scheme.begin(), scheme.end(), scheme_chars)) {
        return std::nullopt;
    }
    return lower_case(scheme);
}

// Cuts off what follows the separator, if it is there.
std::optional<std::string> cut_after(std::string& text, char separator)
{
    const auto at = text.find(separator);
    if (at == std::string::npos) {
        return std::nullopt;
    }
    auto rest = text.substr(at + 1);
    text.resize(at);
    return rest;
}

reference_parts split(std::string text)
{
    reference_parts parts;
    parts.scheme = scheme_of(text);
    if (parts.scheme) {
        text.erase(0, parts.scheme->size() + 1);
    }
    parts.fragment = cut_after(text, '#').value_or("");
    parts.query = cut_after(text, '?');
    std::replace(text.begin(), text.end(), '\\', '/');
    if (text.starts_with("//")) {
        const auto slash = std::min(text.find('/', 2), text.size());
        parts.authority = text.substr(2, slash - 2);
        text.erase(0, slash);
    }
    parts.path = std::move(text);
    return parts;
}

bool has(const grammar::lut_chars& set, char c)
{
    return set(static_cast<unsigned char>(c));
}

void append_percent_encoded(std::string& out, char c)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4U];
    out += digits[byte & 0xFU];
}

// The byte that the three characters at `at` encode.
std::optional<char> decoded_byte(std::string_view text, std::size_t at)
{
    if (text.size() - at < 3) {
        return std::nullopt;
    }
    const auto high = grammar::hexdig_value(text[at + 1]);
    const auto low = grammar::hexdig_value(text[at + 2]);
    if (high < 0 || low < 0) {
        return std::nullopt;
    }
    return static_cast<char>(high * 16 + low);
}

// One spelling for each component: encodes what may not stand in it, decodes what need not be
// encoded, and writes the rest of the encodings in upper case.
std::string normalised(std::string_view component, const grammar::lut_chars& allowed)
{
    std::string out;
    out.reserve(component.size());
    for (std::size_t at = 0; at < component.size(); ++at) {
        const char c = component[at];
        if (c == '%') {
            const auto byte = decoded_byte(component, at);
            if (!byte) {
                throw malformed_reference("'%' is not followed by two hexadecimal digits");
            }
            if (has(urls::unreserved_chars, *byte)) {
                out += *byte;
            } else {
                append_percent_encoded(out, *byte);
            }
            at += 2;
        } else if (has(allowed, c)) {
            out += c;
        } else {
            append_percent_encoded(out, c);
        }
    }
    return out;
}

// RFC 3986, 5.2.4, for a path that starts with a slash.
std::string without_dot_segments(std::string_view path)
{
    std::string out;
    while (!path.empty()) {
        const auto end = std::min(path.find('/', 1), path.size());
        const auto segment = path.substr(0, end);
        const bool last = end == path.size();
        if (segment == "/..") {
            out.resize(out.empty() ? 0 : out.rfind('/'));
        } else if (segment != "/.") {
            out += segment;
        }
        if (last && (segment == "/." || segment == "/..")) {
            out += '/';
        }
        path.remove_prefix(end);
    }
    return out;
}

std::string ascii_host(const std::string& host)
{
    char* ascii = nullptr;
    const int result = idn2_to_ascii_8z(host.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (result != IDN2_OK) {
        throw malformed_reference("invalid international host name");
    }
    std::string out(ascii);
    idn2_free(ascii);
    return out;
}

[[noreturn]] void throw_invalid_host(std::string_view host)
{
    throw malformed_reference("invalid host '" + printable(host, 80) + "'");
}

std::string normalised_host(std::string_view encoded)
{
    if (encoded.starts_with('[')) {
        const auto address = urls::parse_ipv6_address(encoded.substr(1, encoded.size() - 2));
        if (!encoded.ends_with(']') || !address) {
            throw_invalid_host(encoded);
        }
        return '[' + address->to_string() + ']';
    }
    auto host = percent_decoded(encoded);
    if (host.empty()) {
        throw malformed_reference("no host");
    }
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80U; };
    if (!std::all_of(host.begin(), host.end(), is_ascii)) {
        host = ascii_host(host);
    }
    const bool numeric = host.find_first_not_of("0123456789.") == std::string::npos;
    if (!std::all_of(host.begin(), host.end(), host_chars) || (numeric && !urls::parse_ipv4_address(host))) {
        throw_invalid_host(host);
    }
    return lower_case(host);
}

std::uint16_t parse_port(std::string_view digits)
{
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65'535) {
        throw malformed_reference("invalid port '" + printable(digits, 80) + "'");
    }
    return static_cast<std::uint16_t>(port);
}

std::uint16_t default_port(std::string_view scheme)
{
    return scheme == "https" ? 443 : 80;
}

std::string normalised_authority(std::string_view scheme, std::string_view authority)
{
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        authority.remove_prefix(at + 1);
    }
    const auto host_end = authority.starts_with('[') ? authority.find(']') : 0;
    const auto colon = authority.find(':', std::min(host_end, authority.size()));
    auto host = normalised_host(authority.substr(0, colon));
    if (colon == std::string_view::npos || colon + 1 == authority.size()) {
        return host;
    }
    const auto port = parse_port(authority.substr(colon + 1));
    return port == default_port(scheme) ? host : host + ':' + std::to_string(port);
}

// A normalised web URL, which has every part but perhaps the query.
reference_parts split_base(std::string_view base)
{
    auto parts = split(std::string(base));
    if (!parts.scheme || !parts.authority) {
        throw malformed_reference("not an absolute URL");
    }
    return parts;
}

// RFC 3986, 5.2.2: which parts come from the reference and which from the base.
std::string resolved(std::string_view base_url, const reference_parts& reference)
{
    const auto path = normalised(reference.path, path_chars);
    auto query = reference.query;
    std::string prefix;
    std::string merged = path;
    if (reference.authority) {
        const auto scheme = (reference.scheme ? reference : split_base(base_url)).scheme.value();
        prefix = scheme + "://" + normalised_authority(scheme, *reference.authority);
    } else {
        const auto base = split_base(base_url);
        prefix = base.scheme.value() + "://" + base.authority.value();
        if (path.empty()) {
            merged = base.path;
            query = query ? query : base.query;
        } else if (!path.starts_with('/')) {
            merged = base.path.substr(0, base.path.rfind('/') + 1) + path;
        }
    }
    auto url = prefix + without_dot_segments(merged.empty() ? "/" : merged);
    return query ? url + '?' + normalised(*query, query_chars) : url;
}

void check_length(std::string_view url)
{
    if (url.size() > longest_url) {
        throw malformed_reference("longer than " + std::to_string(longest_url) + " bytes");
    }
}

link_url understood(std::string_view base, const std::string& text)
{
    const auto scheme = scheme_of(text);
    const bool web = scheme == "http" || scheme == "https";
    if (scheme && !web) {
        if (std::find(skipped_schemes.begin(), skipped_schemes.end(), *scheme) == skipped_schemes.end()) {
            throw malformed_reference("unknown scheme '" + *scheme + "'");
        }
        return {link_kind::skipped, printable(text), "", *scheme};
    }
    check_length(text); // before any work is done on it
    const auto parts = split(text);
    if (web && !parts.authority) {
        throw malformed_reference("no host");
    }
    link_url link{link_kind::web, resolved(base, parts), normalised(parts.fragment, query_chars), ""};
    check_length(link.text());
    return link;
}

} // namespace

std::string link_url::text() const
{
    return fragment.empty() ? url : url + '#' + fragment;
}

link_url resolve(std::string_view base, std::string_view reference)
{
    const auto text = without_line_breaks(reference);
    try {
        return understood(base, text);
    } catch (const malformed_reference& error) {
        return {link_kind::malformed, printable(text), "", error.what()};
    }
}

bool endpoint::is_ip_address() const
{
    return urls::parse_ipv4_address(host).has_value() || urls::parse_ipv6_address(host).has_value();
}

std::string endpoint::host_field() const
{
    const auto name = host.find(':') == std::string::npos ? host : '[' + host + ']';
    return port == default_port(tls ? "https" : "http") ? name : name + ':' + std::to_string(port);
}

endpoint endpoint_of(std::string_view url)
{
    const auto parts = split(std::string(url));
    std::string_view authority = parts.authority.value();
    endpoint end;
    end.tls = parts.scheme == "https";
    end.port = default_port(parts.scheme.value());
    const auto colon = authority.rfind(':');
    if (colon != std::string_view::npos && !authority.ends_with(']')) {
        end.port = parse_port(authority.substr(colon + 1));
        authority = authority.substr(0, colon);
    }
    end.host = authority.starts_with('[') ? authority.substr(1, authority.size() - 2) : authority;
    end.target = parts.query ? parts.path + '?' + *parts.query : parts.path;
    return end;
}

std::string host_of(std::string_view url)
{
    const auto end = endpoint_of(url);
    return end.host + ':' + std::to_string(end.port);
}

std::string percent_decoded(std::string_view text)
{
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = text[at] == '%' ? decoded_byte(text, at) : std::nullopt;
        out += byte.value_or(text[at]);
        at += byte ? 2 : 0;
    }
    return out;
}

} // namespace linkcheck
