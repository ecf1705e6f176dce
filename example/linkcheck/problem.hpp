// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <string_view>

namespace linkcheck {

/// The ways in which a link can be broken.
enum class problem_kind {
    malformed,   ///< the reference cannot be understood
    dns,         ///< the host name cannot be resolved
    connect,     ///< the host cannot be reached, or refuses
    tls,         ///< no secure connection, or a certificate that cannot be trusted
    timeout,     ///< no answer, or no end of it, in time
    reset,       ///< the connection broke
    not_http,    ///< the answer is something else than HTTP
    too_large,   ///< a header or a body beyond the limit
    too_complex, ///< a page that would take too long to parse
    http_status, ///< a status of 400 and above
    redirect,    ///< a redirect into the void, in circles, or too often
    fragment,    ///< the page is there, but not this part of it
    internal,    ///< an error of the link checker's own
};

/// The name of the kind in the JSON report.
std::string_view name_of(problem_kind kind);

/// Why a link is broken, in one line for the reader.
struct problem {
    problem_kind kind = problem_kind::internal;
    std::string message;

    friend bool operator==(const problem&, const problem&) = default;
};

} // namespace linkcheck
