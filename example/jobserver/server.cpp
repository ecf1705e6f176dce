// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "server.hpp"

#include "api.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <joinery/this_task.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>

namespace jobserver {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr auto as_tuple = asio::as_tuple(asio::deferred);
constexpr std::uint32_t longest_header = 8 * 1024;
constexpr std::uint64_t longest_body = 16 * 1024;

// What to say to a request that could not be read; nothing to a client that has gone, or was too slow.
std::optional<response> refusal_of(const beast::error_code& error)
{
    if (error == http::error::body_limit)
        return refusal(http::status::payload_too_large, "a body has at most 16384 bytes");
    if (error == http::error::header_limit)
        return refusal(http::status::request_header_fields_too_large, "a header has at most 8192 bytes");
    if (error.category() == beast::error_code(http::error::bad_version).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message)
        return refusal(http::status::bad_request, error.message());
    return std::nullopt;
}

// Closes a connection on which more may be on its way: what is not read would destroy the answer before it is.
joinery::task<> linger(beast::tcp_stream& stream)
{
    beast::error_code error;
    stream.socket().shutdown(tcp::socket::shutdown_send, error);
    std::array<char, 4096> rest;
    std::size_t size = 0;
    stream.expires_after(std::chrono::seconds(2));
    for (std::size_t total = 0; !error && total < std::size_t{4} << 20U; total += size)
        std::tie(error, size) = co_await stream.async_read_some(asio::buffer(rest), as_tuple);
}

joinery::task<response> answer_or_apologise(job_service::pointer jobs, const request& asked)
{
    try {
        co_return co_await answer(std::move(jobs), asked);
    } catch (const std::exception& error) {
        co_return refusal(http::status::internal_server_error, error.what());
    }
}

// One request and its answer. Whether there may be another one.
joinery::task<bool> serve_one(beast::tcp_stream& stream, beast::flat_buffer& buffer, job_service::pointer jobs,
                              std::chrono::milliseconds timeout)
{
    http::request_parser<http::string_body> parser;
    parser.header_limit(longest_header);
    parser.body_limit(longest_body);
    stream.expires_after(timeout);
    const auto [error, size] = co_await http::async_read(stream, buffer, parser, as_tuple);
    std::optional<response> said;
    if (error) {
        said = refusal_of(error);
        if (!said)
            co_return false;
    } else {
        said = co_await answer_or_apologise(jobs, parser.get());
    }
    said->keep_alive(!error && parser.get().keep_alive() && !jobs->is_closed());
    said->prepare_payload();
    stream.expires_after(timeout);
    const auto [failure, written] = co_await http::async_write(stream, *said, as_tuple);
    co_return !failure && said->keep_alive();
}

joinery::task<> serve(tcp::socket accepted, job_service::pointer jobs, std::chrono::milliseconds timeout)
{
    // It was accepted on the owner's worker. From here on all of it happens on this one.
    const auto protocol = accepted.local_endpoint().protocol();
    tcp::socket socket(co_await asio::this_coro::executor, protocol, accepted.release());
    beast::tcp_stream stream(std::move(socket));
    beast::flat_buffer buffer(longest_header + longest_body);
    for (bool again = true; again;)
        again = co_await serve_one(stream, buffer, jobs, timeout);
    co_await linger(stream);
}

} // namespace

joinery::task<> listen(job_service::pointer jobs, joinery::join_set<void>& connections, const options& chosen,
                       std::function<void(unsigned short)> listening)
{
    const tcp::endpoint wanted(asio::ip::make_address(chosen.address), chosen.port);
    tcp::acceptor acceptor(co_await asio::this_coro::executor, wanted);
    listening(acceptor.local_endpoint().port());
    for (;;) {
        auto [error, socket] = co_await acceptor.async_accept(as_tuple);
        if (error) { // no more file descriptors, for one: this passes
            co_await joinery::this_task::sleep_for(std::chrono::milliseconds(50));
            continue;
        }
        auto connection = serve(std::move(socket), jobs, chosen.timeout);
        co_await connections.async_spawn(std::move(connection));
    }
}

} // namespace jobserver
