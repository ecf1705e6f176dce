// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "check.hpp"

#include "charset.hpp"
#include "html.hpp"
#include "url.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/beast/http/status.hpp>
#include <joinery/join_set.hpp>
#include <joinery/retry.hpp>
#include <joinery/spawn_options.hpp>

#include <chrono>
#include <exception>
#include <stop_token>
#include <string>
#include <utility>

namespace linkcheck {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

bool may_pass(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const fetch_error& error) {
        switch (error.reason.kind) {
        case problem_kind::dns:
        case problem_kind::connect:
        case problem_kind::timeout:
        case problem_kind::reset:
            return true;
        case problem_kind::http_status: {
            const auto status = error.reason.message.substr(0, 3);
            return status == "429" || status == "502" || status == "503" || status == "504";
        }
        default:
            return false;
        }
    } catch (...) {
        return false;
    }
}

// Some servers know GET only, and say so in their own ways.
bool may_dislike_head(problem_kind kind)
{
    return kind == problem_kind::http_status || kind == problem_kind::not_http || kind == problem_kind::reset ||
           kind == problem_kind::timeout;
}

// "404 Not Found", in the server's words if it has some
std::string status_line(const http_reply& reply)
{
    const auto usual = http::obsolete_reason(http::int_to_status(reply.status));
    const auto words = reply.reason.empty() ? std::string(usual) : reply.reason;
    return std::to_string(reply.status) + ' ' + words;
}

bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Reads a page for its links and its anchors. Takes its time: for the threads of a blocking pool.
answer read_page(const std::string& url, http_reply reply, depth wanted, std::stop_token stop)
{
    const bool html = is_html(reply.content_type);
    const auto text = to_utf8(std::move(reply.body), reply.content_type);
    const auto memory = (std::size_t{64} << 20U) + 32 * text.size();
    auto found_page = html ? parse_html(text, memory, std::move(stop)) : parse_css(text);

    answer found;
    if (html) {
        found.anchors = std::move(found_page.anchors);
    }
    if (wanted != depth::links) {
        return found;
    }
    found.is_searched = true;
    auto base = url;
    if (!found_page.base.empty()) {
        const auto named = resolve(url, found_page.base);
        base = named.kind == link_kind::web ? named.url : url;
    }
    for (const auto& each : found_page.links) {
        found.links.push_back({resolve(base, each.reference), each.line});
    }
    return found;
}

joinery::task<answer> read_elsewhere(std::string url, http_reply reply, depth wanted, std::chrono::milliseconds timeout)
{
    joinery::join_set<answer> reading(co_await asio::this_coro::executor);
    reading.spawn_blocking(
        [url = std::move(url), reply = std::move(reply), wanted](std::stop_token stop) mutable {
            return read_page(url, std::move(reply), wanted, std::move(stop));
        },
        {.deadline = std::chrono::steady_clock::now() + timeout});
    auto joined = co_await reading.async_join_next();
    co_return std::move(joined.value().result).value();
}

joinery::task<answer> ask(const site::request& asked, fetch_scope scope,
                          const std::shared_ptr<fetch_settings>& settings)
{
    auto reply = co_await fetch(asked.url, scope, settings);
    answer found;
    if (is_redirect(reply.status)) {
        if (reply.location.empty()) {
            throw fetch_error({problem_kind::redirect, status_line(reply) + ", but not where to"});
        }
        found.redirect = resolve(asked.url, reply.location);
        co_return found;
    }
    if (reply.status >= 400) {
        throw fetch_error({problem_kind::http_status, status_line(reply)});
    }
    const bool is_page = is_html(reply.content_type) || is_css(reply.content_type);
    if (asked.wanted == depth::existence || !is_page || reply.status / 100 != 2) {
        co_return found;
    }
    co_return co_await read_elsewhere(asked.url, std::move(reply), asked.wanted, settings->timeout);
}

joinery::task<answer> ask_once(const site::request& asked, const std::shared_ptr<fetch_settings>& settings)
{
    if (asked.wanted != depth::existence) {
        co_return co_await ask(asked, fetch_scope::page, settings);
    }
    try {
        co_return co_await ask(asked, fetch_scope::head, settings);
    } catch (const fetch_error& error) {
        if (!may_dislike_head(error.reason.kind)) {
            throw;
        }
    }
    co_return co_await ask(asked, fetch_scope::header, settings);
}

} // namespace

joinery::task<answer> check(site::request asked, int retries, std::shared_ptr<fetch_settings> settings)
{
    const joinery::retry_options patience{.attempts = retries + 1,
                                          .first_delay = std::chrono::milliseconds(250),
                                          .max_delay = std::chrono::nanoseconds::max(),
                                          .jitter = 0};
    answer found;
    try {
        found = co_await joinery::retry([&] { return ask_once(asked, settings); }, patience, may_pass);
    } catch (const fetch_error& error) {
        found.failure = error.reason;
    } catch (const page_too_complex& error) {
        found.failure = problem{problem_kind::too_complex, error.what()};
    }
    co_return found;
}

} // namespace linkcheck
