// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "problem.hpp"
#include "resolver.hpp"

#include <boost/asio/ssl/context.hpp>
#include <joinery/task.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>

namespace linkcheck {

/// What all requests have in common. Shared by them: an aborted one may outlive who started it.
struct fetch_settings {
    /// For the whole of one request, from the name of the host to the end of the body.
    std::chrono::milliseconds timeout = std::chrono::seconds(30);
    std::size_t max_body = std::size_t{10} << 20U;
    std::string user_agent;
    boost::asio::ssl::context tls{boost::asio::ssl::context::tls_client};
    resolver names;
};

/// Which part of a resource is asked for.
enum class fetch_scope {
    head,   ///< by a HEAD request
    header, ///< by a GET request that is left when the header is there
    page,   ///< as `header`, and the body if it can hold links
};

struct http_reply {
    unsigned status = 0;
    std::string reason; ///< the server's own words for the status; may be empty
    std::string location;
    std::string content_type; ///< as it was sent
    std::string body;
};

/// Thrown for a request without a reply.
struct fetch_error : std::runtime_error {
    explicit fetch_error(problem why)
        : std::runtime_error(why.message)
        , reason(std::move(why))
    {
    }

    problem reason;
};

/// Whether a resource of this content type is HTML.
bool is_html(std::string_view content_type);

/// Whether a resource of this content type is a style sheet.
bool is_css(std::string_view content_type);

/// Makes one request, over HTTP or HTTPS, on a connection of its own. Follows no redirect.
/**
 * @param url a web link's `url`
 * @par Errors `fetch_error`, whatever the network and the server do
 */
joinery::task<http_reply> fetch(std::string url, fetch_scope scope, std::shared_ptr<fetch_settings> settings);

} // namespace linkcheck
