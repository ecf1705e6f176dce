// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
// indexer: keeps an index of the words in the text files of a directory up to date, and searches it.

#include "database.hpp"
#include "options.hpp"
#include "updates.hpp"
#include "watches.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <joinery/block_on.hpp>
#include <joinery/join_set.hpp>
#include <joinery/observation.hpp>
#include <joinery/task.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

namespace indexer {
namespace {

namespace asio = boost::asio;

// How long to wait, when the grace period is over, for files that are just being written to the index: for ever, because
// that comes to its end in any case.
constexpr std::chrono::hours patience(24);

// Why the program comes to its end: a word for the user, or none if it was the user's wish.
using ending = std::string;

joinery::task<ending> wait_for_signal()
{
    asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::deferred);
    co_return ending();
    // With the set gone, the next signal does what it does by default: ends the process.
}

void take(workshop& work, const update_map::handle& updates, file_event event)
{
    switch (event.what) {
    case file_event::kind::changed:
        return spawn_update(work, updates, std::move(event.path), urgency::settles);
    case file_event::kind::arrived:
        return spawn_update(work, updates, std::move(event.path), urgency::at_once);
    case file_event::kind::left:
        return spawn_update(work, updates, std::move(event.path), urgency::overtakes);
    case file_event::kind::overflow:
        std::cerr << "indexer: too much happened at once, looking at everything again\n";
        return spawn_update(work, updates, work.wanted.directory, urgency::at_once);
    case file_event::kind::root_left:
        break;
    }
}

// Has everything looked at, and then whatever changes.
joinery::task<ending> watch(workshop& work, update_map& updates)
{
    const std::string& root = work.wanted.directory;
    auto first = [&](auto ready) { return update(work, updates.get_handle(), root, ready); };
    const auto started = co_await updates.async_start(root, std::move(first));
    started.value().value(); // or throws what is wrong with the directory
    std::cout << "watching " << root << std::endl;

    const int copy = ::dup(work.watches.descriptor());
    if (copy < 0)
        throw std::system_error(errno, std::generic_category(), "dup");
    asio::posix::stream_descriptor input(co_await asio::this_coro::executor, copy);
    std::vector<char> buffer(64 * 1024);
    for (;;) {
        const std::size_t size = co_await input.async_read_some(asio::buffer(buffer), asio::deferred);
        for (file_event& each : work.watches.events_in(buffer.data(), size)) {
            if (each.what == file_event::kind::root_left)
                co_return root + " is gone";
            take(work, updates.get_handle(), std::move(each));
        }
    }
}

// Ends the updates, and says for which paths the index is not up to date. Whether there is none.
joinery::task<bool> end(workshop& work, update_map& updates)
{
    for (update_map::sight& each : updates.snapshot()) {
        if (each.state != joinery::task_state::finished)
            work.due.insert(std::move(each.key));
    }
    co_await updates.async_shutdown(work.wanted.grace, patience, asio::deferred);
    for (const std::string& each : work.due)
        std::cerr << "indexer: not indexed: " << each << '\n';
    co_return work.due.empty();
}

joinery::task<int> keep_up_to_date(workshop& work)
{
    const auto here = co_await asio::this_coro::executor;
    update_map updates(here);
    updates.set_limits({.running = work.wanted.jobs});
    updates.observe();
    updates.consume([](const update_map::joined& done) {
        if (done.result.has_error() && done.result.error().is_exception())
            std::cerr << "indexer: " << done.key << ": " << done.result.error() << '\n';
    });

    joinery::join_set<ending> endings(here);
    endings.spawn(wait_for_signal());
    endings.spawn(watch(work, updates));
    auto first = co_await endings.async_join_next();
    co_await endings.async_shutdown();
    const bool is_complete = co_await end(work, updates);
    const ending why = std::move(first->result).value();
    if (!why.empty())
        std::cerr << "indexer: " << why << '\n';
    co_return why.empty() && is_complete ? 0 : 1;
}

int run(int argc, const char* const* argv)
{
    const options chosen = parse_options(argc, argv);
    if (chosen.word) {
        const auto found = database(chosen.database, database::access::read).search(*chosen.word);
        for (const std::string& path : found)
            std::cout << path << '\n';
        return found.empty() ? 1 : 0;
    }
    workshop work(chosen);
    return joinery::block_on(keep_up_to_date(work));
}

} // namespace
} // namespace indexer

int main(int argc, char** argv)
{
    try {
        return indexer::run(argc, argv);
    } catch (const indexer::early_exit& exit) {
        if (exit.status == 0)
            std::cout << exit.what();
        else
            std::cerr << "indexer: " << exit.what() << "\nTry 'indexer --help'.\n";
        return exit.status;
    } catch (const std::exception& error) {
        std::cerr << "indexer: " << error.what() << '\n';
        return 2;
    }
}
