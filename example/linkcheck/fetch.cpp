// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "fetch.hpp"

#include "text.hpp"
#include "url.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>
#include <joinery/join_error.hpp>
#include <joinery/join_set.hpp>
#include <joinery/with_timeout.hpp>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <optional>
#include <utility>

namespace linkcheck {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto as_tuple = asio::as_tuple(asio::deferred);

constexpr std::size_t max_header = 16 * 1024;

// Answers that only announce another one, as 103 does. A server may not send them for ever.
constexpr int max_interim_replies = 10;

[[noreturn]] void fail(problem_kind kind, std::string message)
{
    throw fetch_error({kind, std::move(message)});
}

// One request on its way: what is asked for, and what has failed if the time runs out now.
struct job {
    endpoint where;
    fetch_scope scope;
    std::shared_ptr<fetch_settings> settings;
    problem late{problem_kind::dns, "cannot resolve the host name"};
};

// "no answer within 30 s"
std::string within(const std::string& what, std::chrono::milliseconds time)
{
    const bool seconds = time.count() % 1000 == 0;
    return what + " within " + std::to_string(seconds ? time.count() / 1000 : time.count()) + (seconds ? " s" : " ms");
}

// --- to find the host -----------------------------------------------------------------------

// Whoever waits here can give up at any time. The look-up goes on, with what it needs.
joinery::task<resolver::endpoints> addresses_of(const job& request)
{
    const auto& where = request.where;
    if (where.is_ip_address()) {
        co_return resolver::endpoints{{asio::ip::make_address(where.host), where.port}};
    }
    joinery::join_set<resolver::endpoints> looking(co_await asio::this_coro::executor);
    looking.spawn_blocking([host = where.host, port = where.port, settings = request.settings] {
        return settings->names.resolve(host, port);
    });
    try {
        auto found = co_await looking.async_join_next();
        co_return std::move(found.value().result).value();
    } catch (const boost::system::system_error& error) {
        fail(problem_kind::dns, "cannot resolve the host name: " + error.code().message());
    }
}

joinery::task<void> connect(tcp::socket& socket, job& request)
{
    const auto addresses = co_await addresses_of(request);
    request.late = {problem_kind::connect, "no connection"};
    const auto [error, address] = co_await asio::async_connect(socket, addresses, as_tuple);
    if (error) {
        fail(problem_kind::connect, "cannot connect: " + error.message());
    }
}

// --- to shake hands -------------------------------------------------------------------------

using tls_stream = asio::ssl::stream<tcp::socket>;

void expect_certificate_of(const endpoint& where, SSL* session)
{
    auto* const expected = SSL_get0_param(session);
    if (where.is_ip_address()) {
        X509_VERIFY_PARAM_set1_ip_asc(expected, where.host.c_str());
    } else {
        SSL_set_tlsext_host_name(session, where.host.c_str());
        X509_VERIFY_PARAM_set1_host(expected, where.host.c_str(), where.host.size());
    }
}

joinery::task<void> shake_hands(tls_stream& stream, job& request)
{
    request.late = {problem_kind::tls, "no secure connection"};
    expect_certificate_of(request.where, stream.native_handle());
    const auto [error] = co_await stream.async_handshake(asio::ssl::stream_base::client, as_tuple);
    if (!error) {
        co_return;
    }
    const auto verdict = SSL_get_verify_result(stream.native_handle());
    if (verdict != X509_V_OK) {
        fail(problem_kind::tls,
             std::string("the certificate cannot be trusted: ") + X509_verify_cert_error_string(verdict));
    }
    const auto* const reason = error.category() == asio::error::get_ssl_category()
                                   ? ERR_reason_error_string(static_cast<unsigned long>(error.value()))
                                   : nullptr;
    fail(problem_kind::tls, "no secure connection: " + (reason == nullptr ? error.message() : std::string(reason)));
}

// --- to ask and be answered -----------------------------------------------------------------

using reply_parser = http::response_parser<http::string_body>;

// What is wrong with the bytes that the server sent; nothing if the connection itself failed.
std::optional<problem> problem_of_protocol(error_code error, const job& request)
{
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return problem{problem_kind::too_large, "a header of more than " + std::to_string(max_header) + " bytes"};
    }
    if (error == http::error::body_limit) {
        return problem{problem_kind::too_large,
                       "a body of more than " + std::to_string(request.settings->max_body) + " bytes"};
    }
    if (error == http::error::end_of_stream) {
        return problem{problem_kind::reset, "the connection was closed without an answer"};
    }
    if (error == http::error::partial_message) {
        return problem{problem_kind::reset, "the connection was closed in the midst of the answer"};
    }
    if (error == http::error::bad_version || error == http::error::bad_status || error == http::error::bad_reason ||
        error == http::error::bad_line_ending) {
        return problem{problem_kind::not_http, "the answer is not HTTP: " + error.message()};
    }
    if (error.category() == make_error_code(http::error::bad_field).category()) {
        return problem{problem_kind::not_http, "the answer is bad HTTP: " + error.message()};
    }
    return std::nullopt;
}

void check(error_code error, const job& request)
{
    if (!error) {
        return;
    }
    if (const auto wrong = problem_of_protocol(error, request)) {
        throw fetch_error(*wrong);
    }
    fail(problem_kind::reset, "the connection broke: " + error.message());
}

http::request<http::empty_body> message_for(const job& request)
{
    const auto verb = request.scope == fetch_scope::head ? http::verb::head : http::verb::get;
    http::request<http::empty_body> message(verb, request.where.target, 11);
    message.set(http::field::host, request.where.host_field());
    message.set(http::field::user_agent, request.settings->user_agent);
    message.set(http::field::accept, "text/html, */*;q=0.8");
    message.set(http::field::accept_encoding, "identity");
    message.set(http::field::connection, "close");
    return message;
}

bool wants_body(const job& request, const http::response<http::string_body>& head)
{
    const auto type = head[http::field::content_type];
    return request.scope == fetch_scope::page && head.result_int() / 100 == 2 && (is_html(type) || is_css(type));
}

template<class Stream>
joinery::task<void> read_header(Stream& stream, beast::flat_buffer& buffer, std::optional<reply_parser>& parser,
                                const job& request)
{
    for (int interim = 0; interim <= max_interim_replies; ++interim) {
        parser.emplace();
        parser->header_limit(max_header);
        parser->body_limit(boost::none); // most bodies are never read
        parser->skip(request.scope == fetch_scope::head);
        const auto [error, size] = co_await http::async_read_header(stream, buffer, *parser, as_tuple);
        check(error, request);
        if (parser->get().result_int() / 100 != 1) {
            co_return;
        }
    }
    fail(problem_kind::not_http, "the answer is bad HTTP: too many interim answers");
}

template<class Stream>
joinery::task<void> read_body(Stream& stream, beast::flat_buffer& buffer, reply_parser& parser, job& request)
{
    request.late.message = "no end of the answer";
    const auto limit = request.settings->max_body;
    if (parser.content_length().value_or(0) > limit) {
        check(http::error::body_limit, request);
    }
    const auto encoding = parser.get()[http::field::content_encoding];
    if (!encoding.empty() && lower_case(encoding) != "identity") {
        fail(problem_kind::not_http, "the page is encoded, which was not asked for: " + std::string(encoding));
    }
    parser.body_limit(limit);
    const auto [error, size] = co_await http::async_read(stream, buffer, parser, as_tuple);
    // Without a length the end of the connection ends the body, and many servers just hang up.
    if (error != asio::ssl::error::stream_truncated || !parser.need_eof()) {
        check(error, request);
    }
}

template<class Stream>
joinery::task<http_reply> converse(Stream& stream, job& request)
{
    request.late = {problem_kind::timeout, "no answer"};
    const auto message = message_for(request);
    const auto [error, size] = co_await http::async_write(stream, message, as_tuple);
    check(error, request);

    beast::flat_buffer buffer(max_header + 64 * 1024);
    std::optional<reply_parser> parser;
    co_await read_header(stream, buffer, parser, request);
    if (wants_body(request, parser->get())) {
        co_await read_body(stream, buffer, *parser, request);
    }
    auto& head = parser->get();
    co_return http_reply{head.result_int(), head.reason(), head[http::field::location], head[http::field::content_type],
                         std::move(head.body())};
}

joinery::task<http_reply> run(job& request)
{
    tcp::socket socket(co_await asio::this_coro::executor);
    co_await connect(socket, request);
    if (!request.where.tls) {
        co_return co_await converse(socket, request);
    }
    tls_stream secure(std::move(socket), request.settings->tls);
    co_await shake_hands(secure, request);
    co_return co_await converse(secure, request);
}

bool has_type(std::string_view content_type, std::string_view type)
{
    return lower_case(trimmed(content_type.substr(0, content_type.find(';')))) == type;
}

} // namespace

bool is_html(std::string_view content_type)
{
    return has_type(content_type, "text/html") || has_type(content_type, "application/xhtml+xml");
}

bool is_css(std::string_view content_type)
{
    return has_type(content_type, "text/css");
}

joinery::task<http_reply> fetch(std::string url, fetch_scope scope, std::shared_ptr<fetch_settings> settings)
{
    job request{endpoint_of(url), scope, std::move(settings)};
    const auto timeout = request.settings->timeout;
    try {
        co_return co_await joinery::with_timeout(timeout, run(request));
    } catch (const joinery::task_cancelled&) {
        fail(request.late.kind, within(request.late.message, timeout));
    }
}

} // namespace linkcheck
