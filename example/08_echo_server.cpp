// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// A TCP server with a task for each connection, keyed by the number of the connection. It takes the outcomes of
// sessions that have ended as it goes along, drops a connection by its number, and shuts down cleanly.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Sends back what comes, until the client ends. Returns how many bytes that were. An abort destroys it where it
// waits, and the socket with it.
joinery::task<std::size_t> echo(tcp::socket socket)
{
    std::array<char, 1024> data;
    for (std::size_t total = 0;;) {
        const auto [error, size] = co_await socket.async_read_some(asio::buffer(data), asio::as_tuple(asio::deferred));
        if (error)
            co_return total;
        co_await asio::async_write(socket, asio::buffer(data, size), asio::deferred);
        total += size;
    }
}

using session_map = joinery::join_map<int, std::size_t>;

joinery::task<> accept(tcp::acceptor& acceptor, session_map& sessions)
{
    for (int number = 1;; ++number) {
        tcp::socket socket = co_await acceptor.async_accept(asio::deferred);
        sessions.spawn(number, echo(std::move(socket)));

        while (auto done = sessions.try_join_next())
            std::cout << "connection " << done->key << " has ended\n";
    }
}

joinery::task<std::string> ask(tcp::socket& socket, std::string question)
{
    co_await asio::async_write(socket, asio::buffer(question), asio::deferred);
    std::string answer(question.size(), '\0');
    co_await asio::async_read(socket, asio::buffer(answer), asio::deferred);
    co_return answer;
}

joinery::task<std::string> call(tcp::endpoint server, std::string question)
{
    tcp::socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect(server, asio::deferred);
    co_return co_await ask(socket, std::move(question));
}

joinery::task<bool> serve_and_call()
{
    const auto executor = co_await asio::this_coro::executor;
    tcp::acceptor acceptor(executor, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const tcp::endpoint server = acceptor.local_endpoint();

    session_map sessions(executor);
    joinery::join_set<void> accepting(executor);
    accepting.spawn(accept(acceptor, sessions));

    // A client that stays: its connection is number 1.
    tcp::socket idle(executor);
    co_await idle.async_connect(server, asio::deferred);
    bool right = co_await ask(idle, "who is there") == "who is there";

    joinery::join_map<std::string, std::string> calls(executor);
    for (const char* question : {"one", "two", "three"})
        calls.spawn(question, call(server, question));
    while (auto done = co_await calls.async_join_next()) {
        std::cout << done->key << " -> " << done->result.value() << '\n';
        right = done->result.value() == done->key && right;
    }

    // Its session is dropped by its number, and the client sees the end of the connection.
    right = sessions.abort(1) && right;
    char byte = 0;
    const auto [error, size] = co_await asio::async_read(idle, asio::buffer(&byte, 1), asio::as_tuple(asio::deferred));
    right = error && size == 0 && right;

    // First no new sessions, then an end to those that are left. When this is over, no task is left, and no socket.
    co_await accepting.async_shutdown();
    co_await sessions.async_shutdown();
    co_return right&& sessions.empty();
}

} // namespace

int main()
{
    return joinery::block_on(serve_and_call()) ? EXIT_SUCCESS : EXIT_FAILURE;
}
