// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "server.hpp"

#include "static_files.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <joinery/join_set.hpp>
#include <joinery/retry.hpp>

#include <chrono>
#include <limits>
#include <tuple>
#include <utility>

namespace linkcheck {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto as_tuple = asio::as_tuple(asio::deferred);
constexpr auto patience = std::chrono::seconds(30);

using request = http::request<http::empty_body>;

template<class Response>
void describe(Response& response, const request& asked, const static_answer& found)
{
    response.version(11);
    response.result(found.status);
    response.set(http::field::server, "linkcheck");
    response.set(http::field::content_type, found.content_type);
    if (!found.location.empty()) {
        response.set(http::field::location, found.location);
    }
    response.keep_alive(asked.keep_alive());
}

// Sends the message, or its header alone if that is what was asked for. Whether it went well.
template<class Response>
joinery::task<bool> send(beast::tcp_stream& stream, Response response, bool header_only)
{
    http::response_serializer<typename Response::body_type> serializer(response);
    beast::error_code error;
    if (header_only) {
        std::tie(error, std::ignore) = co_await http::async_write_header(stream, serializer, as_tuple);
    } else {
        std::tie(error, std::ignore) = co_await http::async_write(stream, serializer, as_tuple);
    }
    co_return !error;
}

joinery::task<bool> respond(beast::tcp_stream& stream, const request& asked, static_answer found)
{
    const bool header_only = asked.method() == http::verb::head;
    beast::error_code error;
    http::response<http::file_body> with_file;
    if (!found.file.empty()) {
        with_file.body().open(found.file.c_str(), beast::file_mode::scan, error);
        if (!error) {
            describe(with_file, asked, found);
            with_file.prepare_payload();
            co_return co_await send(stream, std::move(with_file), header_only);
        }
        found = {403, "text/plain", "", {}, "cannot be read\n"};
    }
    http::response<http::string_body> with_text;
    with_text.body() = found.text;
    describe(with_text, asked, found);
    with_text.prepare_payload();
    co_return co_await send(stream, std::move(with_text), header_only);
}

static_answer answer_to(const request& asked, const std::filesystem::path& root)
{
    if (asked.method() != http::verb::get && asked.method() != http::verb::head) {
        return {405, "text/plain", "", {}, "only GET and HEAD are served\n"};
    }
    return find_static(root, asked.target());
}

joinery::task<void> serve_connection(tcp::socket socket, std::filesystem::path root)
{
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(64 * 1024);
    for (bool open = true; open;) {
        request asked;
        stream.expires_after(patience);
        const auto [error, size] = co_await http::async_read(stream, buffer, asked, as_tuple);
        if (error) {
            co_return;
        }
        open = co_await respond(stream, asked, answer_to(asked, root)) && asked.keep_alive();
    }
    beast::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

} // namespace

static_server::static_server(const asio::any_io_executor& executor, std::filesystem::path root)
    : acceptor_(executor, tcp::endpoint(asio::ip::address_v4::loopback(), 0))
    , root_(std::move(root))
{
}

std::string static_server::url() const
{
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + '/';
}

joinery::task<void> static_server::run(static_server server)
{
    joinery::join_set<void> connections(co_await asio::this_coro::executor);
    connections.discard_results();
    // Without file descriptors, for one, nothing can be accepted: this passes.
    const joinery::retry_options patiently{.attempts = std::numeric_limits<int>::max(), .multiplier = 1, .jitter = 0};
    for (;;) {
        auto socket = co_await joinery::retry([&] { return server.acceptor_.async_accept(asio::deferred); }, patiently);
        connections.spawn(serve_connection(std::move(socket), server.root_));
    }
}

} // namespace linkcheck
