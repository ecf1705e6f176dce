// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// One task for a key at most: a newer one replaces it. And the ways to end a task that is no longer wanted.

#include <joinery/abort_handle.hpp>
#include <joinery/block_on.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/join_map.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/this_coro.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

namespace {

int failures = 0;

void expect(bool holds, const char* what)
{
    if (!holds) {
        std::cerr << "it does not hold that " << what << '\n';
        ++failures;
    }
}

int connections = 0; // open at this moment

// What a task must give back, it gives back in a destructor: an aborted task is destroyed where it waits.
class connection {
public:
    connection() noexcept
    {
        ++connections;
    }

    ~connection()
    {
        --connections;
    }

    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
};

joinery::task<> follow(std::string topic)
{
    connection to_server;
    std::cout << "following " << topic << '\n';
    co_await joinery::this_task::sleep_forever();
    std::cout << "never printed\n"; // only an abort ends sleep_forever, and nothing runs after an abort
}

joinery::task<> follow_topics()
{
    joinery::join_map<std::string, void> topics(co_await boost::asio::this_coro::executor);
    for (const char* topic : {"news/local", "news/world", "sport", "weather"})
        topics.spawn(topic, follow(topic));
    co_await joinery::this_task::yield(); // they begin meanwhile
    expect(connections == 4, "every task has begun");

    // The old task under the key is aborted, and is never joined. The new one has its place.
    const joinery::abort_handle forecast = topics.spawn("weather", follow("the weather of tomorrow"));
    co_await joinery::this_task::yield();
    expect(connections == 4 && topics.size() == 4, "the new task has replaced the old one");

    // An abort is a request. The task stays in the map until it has ended and is joined.
    expect(topics.abort("sport"), "there was a task under this key to tell");
    expect(topics.abort_matching([](const std::string& topic) { return topic.starts_with("news/"); }) == 2,
           "two tasks were told");
    expect(forecast.abort(), "a handle aborts too, from any thread"); // and it may outlive the map
    expect(topics.size() == 4, "an abort takes nothing out of the map");

    int joined = 0;
    while (auto done = co_await topics.async_join_next()) {
        std::cout << done->key << ": " << done->result.error().reason() << '\n';
        expect(done->result.error().reason() == joinery::cancel_reason::aborted, "each was aborted");
        ++joined;
    }
    expect(joined == 4, "the replaced task was not joined");

    // Aborts all, and waits until all have ended: how a program, or a part of one, comes to its end.
    topics.spawn("science", follow("science"));
    topics.spawn("arts", follow("arts"));
    co_await joinery::this_task::yield();
    expect(connections == 2, "the two have begun");
    co_await topics.async_shutdown();
    expect(connections == 0 && topics.empty(), "nothing is left after a shutdown");
}

} // namespace

int main()
{
    joinery::block_on(follow_topics());
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
