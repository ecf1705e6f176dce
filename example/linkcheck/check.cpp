// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "check.hpp"

#include "charset.hpp"
#include "html.hpp"
#include "url.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/beast/http/status.hpp>
#include <joinery/join_set.hpp>
#include <joinery/this_task.hpp>

#include <chrono>
#include <stop_token>
#include <string>
#include <utility>

namespace linkcheck {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr auto first_pause = std::chrono::milliseconds(250);

bool may_pass(const answer& found)
{
    if (!found.failure) {
        return false;
    }
    switch (found.failure->kind) {
    case problem_kind::dns:
    case problem_kind::connect:
    case problem_kind::timeout:
    case problem_kind::reset:
        return true;
    case problem_kind::http_status: {
        const auto status = found.failure->message.substr(0, 3);
        return status == "429" || status == "502" || status == "503" || status == "504";
    }
    default:
        return false;
    }
}

answer failed(problem_kind kind, std::string message)
{
    answer found;
    found.failure = problem{kind, std::move(message)};
    return found;
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
answer read_page(const std::string& url, http_reply reply, depth wanted, std::chrono::milliseconds timeout,
                 std::stop_token stop)
{
    const bool html = is_html(reply.content_type);
    const auto text = to_utf8(std::move(reply.body), reply.content_type);
    const html_limits limits{(std::size_t{64} << 20U) + 32 * text.size(), timeout};
    auto found_page = html ? parse_html(text, limits, std::move(stop)) : parse_css(text);

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
        [url = std::move(url), reply = std::move(reply), wanted, timeout](std::stop_token stop) mutable {
            return read_page(url, std::move(reply), wanted, timeout, std::move(stop));
        });
    auto joined = co_await reading.async_join_next();
    co_return std::move(joined.value().result).value();
}

joinery::task<answer> understand(const std::string& url, http_reply reply, depth wanted,
                                 std::chrono::milliseconds timeout)
{
    if (is_redirect(reply.status)) {
        if (reply.location.empty()) {
            co_return failed(problem_kind::redirect, status_line(reply) + ", but not where to");
        }
        answer found;
        found.redirect = resolve(url, reply.location);
        co_return found;
    }
    if (reply.status >= 400) {
        co_return failed(problem_kind::http_status, status_line(reply));
    }
    const bool is_page = is_html(reply.content_type) || is_css(reply.content_type);
    if (wanted == depth::existence || !is_page || reply.status / 100 != 2) {
        co_return answer{};
    }
    co_return co_await read_elsewhere(url, std::move(reply), wanted, timeout);
}

joinery::task<answer> ask(const std::string& url, fetch_scope scope, depth wanted,
                          std::shared_ptr<fetch_settings> settings)
{
    const auto timeout = settings->timeout;
    try {
        auto reply = co_await fetch(url, scope, std::move(settings));
        co_return co_await understand(url, std::move(reply), wanted, timeout);
    } catch (const fetch_error& error) {
        co_return failed(error.reason.kind, error.reason.message);
    } catch (const page_too_complex& error) {
        co_return failed(problem_kind::too_complex, error.what());
    }
}

joinery::task<answer> ask_once(const site::request& asked, std::shared_ptr<fetch_settings> settings)
{
    if (asked.wanted != depth::existence) {
        co_return co_await ask(asked.url, fetch_scope::page, asked.wanted, std::move(settings));
    }
    auto found = co_await ask(asked.url, fetch_scope::head, asked.wanted, settings);
    // Some servers know GET only, and say so in their own ways.
    const auto kind = found.failure ? found.failure->kind : problem_kind::dns;
    if (kind == problem_kind::http_status || kind == problem_kind::not_http || kind == problem_kind::reset ||
        kind == problem_kind::timeout) {
        found = co_await ask(asked.url, fetch_scope::header, asked.wanted, std::move(settings));
    }
    co_return found;
}

} // namespace

joinery::task<answer> check(site::request asked, int retries, std::shared_ptr<fetch_settings> settings)
{
    auto pause = first_pause;
    for (int left = retries;; --left) {
        auto found = co_await ask_once(asked, settings);
        if (left <= 0 || !may_pass(found)) {
            co_return found;
        }
        co_await joinery::this_task::sleep_for(pause);
        pause *= 2;
    }
}

} // namespace linkcheck
