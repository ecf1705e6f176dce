// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "jobs.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <joinery/task.hpp>

#include <string_view>

namespace jobserver {

using request = boost::beast::http::request<boost::beast::http::string_body>;
using response = boost::beast::http::response<boost::beast::http::string_body>;

/// An answer that says what was wrong.
response refusal(boost::beast::http::status status, std::string_view why);

/// Does what a request asks for. README.md has the table.
/** Runs where the connection does; `asked` lives until it has ended. */
joinery::task<response> answer(job_service::pointer jobs, const request& asked);

} // namespace jobserver
