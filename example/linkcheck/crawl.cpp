// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crawl.hpp"

#include "check.hpp"
#include "url.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <joinery/join_map.hpp>

#include <csignal>
#include <string>
#include <utility>
#include <variant>

namespace linkcheck {
namespace {

namespace asio = boost::asio;

// What a task of the crawl comes back with: an answer, or word that the user has had enough.
struct interrupt {};
struct answered {
    site::request asked;
    answer found;
};
using event = std::variant<answered, interrupt>;
using task_map = joinery::join_map<std::string, event>;

// No URL is empty, so this is the key of no request.
const std::string interrupt_key;

joinery::task<event> wait_for_interrupt()
{
    asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::deferred);
    co_return interrupt{};
    // With the set gone, the next signal does what it does by default: ends the process.
}

joinery::task<event> request(site::request asked, int retries, std::shared_ptr<fetch_settings> settings)
{
    auto found = co_await check(asked, retries, std::move(settings));
    co_return answered{std::move(asked), std::move(found)};
}

// The crawl in progress: who waits for what. Only the coroutine that owns it touches it.
class crawler {
public:
    crawler(joinery::runtime& workers, site& links, crawl_limits limits, std::shared_ptr<fetch_settings> settings)
        : links_(links)
        , limits_(limits)
        , settings_(std::move(settings))
        , running_(workers)
    {
        running_.spawn(interrupt_key, wait_for_interrupt());
    }

    // Starts as many requests as there may be.
    void start_requests()
    {
        while (requests() < static_cast<std::size_t>(limits_.jobs)) {
            auto next = links_.take_next();
            if (!next) {
                return;
            }
            auto key = next->url;
            running_.spawn(std::move(key), request(std::move(*next), limits_.retries, settings_));
        }
    }

    std::size_t requests() const
    {
        return running_.size() - (running_.contains(interrupt_key) ? 1 : 0);
    }

    auto next_event()
    {
        return running_.async_join_next(asio::deferred);
    }

    void take(task_map::joined done)
    {
        auto& [key, result, id] = done;
        if (result.has_error() && result.error().is_cancelled()) {
            links_.abandon(key); // its host was given up, or the whole crawl
        } else if (result.has_error()) {
            fail(key, result.error().message());
        } else if (std::holds_alternative<interrupt>(result.value())) {
            links_.interrupt();
            running_.abort_all();
        } else {
            auto& [asked, found] = std::get<answered>(result.value());
            links_.complete(asked, found);
            give_up_host_of(key);
        }
    }

private:
    void fail(const std::string& url, std::string why)
    {
        answer none;
        none.failure = problem{problem_kind::internal, std::move(why)};
        links_.complete({url, depth::links}, none);
    }

    // A host that keeps refusing gets no more requests, and those under way are called off.
    void give_up_host_of(const std::string& url)
    {
        const auto host = host_of(url);
        if (links_.is_given_up(host)) {
            running_.abort_matching(
                [&](const std::string& other) { return other != interrupt_key && host_of(other) == host; });
        }
    }

    site& links_;
    crawl_limits limits_;
    std::shared_ptr<fetch_settings> settings_;
    task_map running_;
};

} // namespace

joinery::task<void> crawl(joinery::runtime& workers, site& links, crawl_limits limits,
                          std::shared_ptr<fetch_settings> settings, progress_bar& bar)
{
    crawler crawling(workers, links, limits, std::move(settings));
    for (;;) {
        crawling.start_requests();
        bar.show(links.so_far());
        if (crawling.requests() == 0) {
            co_return;
        }
        auto done = co_await crawling.next_event();
        crawling.take(std::move(done.value()));
    }
}

} // namespace linkcheck
