// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
// jobserver: runs jobs that are started, looked at and stopped over HTTP.

#include "jobs.hpp"
#include "options.hpp"
#include "server.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

namespace jobserver {
namespace {

namespace asio = boost::asio;

// For answers that are on their way when the last job has ended.
constexpr std::chrono::milliseconds farewell(300);

joinery::task<> wait_for_signal()
{
    asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::deferred);
    // With the set gone, the next signal does what it does by default: ends the process.
}

// What makes up the server, by name.
using part_map = joinery::join_map<std::string, void>;

// Opens the server, and waits until it is to be closed.
joinery::task<> serve_until_signal(job_service::pointer jobs, part_map& parts, joinery::join_set<void>& connections,
                                   const options& chosen)
{
    parts.spawn("signal", wait_for_signal()); // before anyone can be told that the server is there
    auto listener = [&](part_map::ready_signal<unsigned short> ready) {
        return listen(jobs, connections, chosen, std::move(ready));
    };
    const std::string name = "listener";
    const auto started = co_await parts.async_start<unsigned short>(name, std::move(listener));
    const unsigned short port = started.value().value(); // or throws what kept it from listening
    std::cout << "listening on " << chosen.address << ' ' << port << std::endl;

    const std::string signal = "signal";
    co_await parts.async_join(signal);
    co_await parts.async_abort(name); // no more connections; those that are there may still ask
}

joinery::task<int> run_server(joinery::runtime& workers, const options& chosen)
{
    const auto owner = co_await asio::this_coro::executor;
    const auto jobs = std::make_shared<job_service>(workers, owner, chosen);
    joinery::join_set<void> connections(workers);
    connections.set_limits({.running = chosen.connections, .waiting = 0});
    connections.discard_results();
    part_map parts(owner);
    parts.spawn("collector", job_service::collect(jobs));
    co_await serve_until_signal(jobs, parts, connections, chosen);

    const auto remains = co_await job_service::end(jobs, chosen.grace, chosen.patience);
    co_await connections.async_shutdown(farewell, farewell, asio::deferred);
    co_await parts.async_shutdown();
    for (const std::string& key : remains.aborted)
        std::cerr << "jobserver: aborted: " << key << '\n';
    for (const std::string& key : remains.running)
        std::cerr << "jobserver: still running: " << key << '\n';
    co_return remains.aborted.empty() && remains.running.empty() ? 0 : 1;
}

int run(int argc, const char* const* argv)
{
    const options chosen = parse_options(argc, argv);
    joinery::runtime workers(chosen.threads);
    return workers.block_on(run_server(workers, chosen));
}

} // namespace
} // namespace jobserver

int main(int argc, char** argv)
{
    try {
        return jobserver::run(argc, argv);
    } catch (const jobserver::early_exit& exit) {
        if (exit.status == 0)
            std::cout << exit.what();
        else
            std::cerr << "jobserver: " << exit.what() << "\nTry 'jobserver --help'.\n";
        return exit.status;
    } catch (const std::exception& error) {
        std::cerr << "jobserver: " << error.what() << '\n';
        return 2;
    }
}
