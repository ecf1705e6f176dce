// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crawl.hpp"

#include "check.hpp"
#include "url.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>

#include <csignal>
#include <string>
#include <utility>

namespace linkcheck {
namespace {

namespace asio = boost::asio;

// The requests under way, each under what it asks for: a URL, and how much of it.
using request_map = joinery::join_map<std::pair<std::string, depth>, answer>;

// Runs on the worker of the crawl, while that waits for an answer: so it needs no lock.
joinery::task<void> interrupt_on_signal(site& links, request_map& running)
{
    asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::deferred);
    links.interrupt();
    running.abort_all();
    // With the set gone, the next signal does what it does by default: ends the process.
}

void take(request_map::joined done, site& links, request_map& running)
{
    auto& [key, result, id] = done;
    const site::request asked{key.first, key.second};
    if (result.has_error() && result.error().is_cancelled()) {
        links.abandon(asked.url); // its host was given up, or the whole crawl
        return;
    }
    answer none;
    if (result.has_error()) {
        none.failure = problem{problem_kind::internal, result.error().message()};
    }
    links.complete(asked, result.has_error() ? none : *result);
    // A host that keeps refusing gets no more requests, and those under way are called off.
    if (const auto host = host_of(asked.url); links.is_given_up(host)) {
        running.abort_matching([&](const auto& other) { return host_of(other.first) == host; });
    }
}

} // namespace

joinery::task<void> crawl(joinery::runtime& workers, site& links, crawl_limits limits,
                          std::shared_ptr<fetch_settings> settings, progress_bar& bar)
{
    request_map running(workers);
    joinery::join_set<void> interrupts(co_await asio::this_coro::executor);
    interrupts.spawn(interrupt_on_signal(links, running));
    for (;;) {
        // What waits for its turn does so in the site, which may yet learn that more is wanted of it.
        while (running.size() < static_cast<std::size_t>(limits.jobs)) {
            auto next = links.take_next();
            if (!next) {
                break;
            }
            running.spawn({next->url, next->wanted}, check(*next, limits.retries, settings));
        }
        bar.show(links.so_far());
        auto done = co_await running.async_join_next();
        if (!done) {
            break;
        }
        take(std::move(*done), links, running);
    }
    co_await interrupts.async_shutdown();
}

} // namespace linkcheck
