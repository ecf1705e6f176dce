// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// A program that is written in Asio's own coroutines, and uses a join_map in them: on its io_context, with its
// awaitables and its operations as work, and with joins that take any completion token.

#include <joinery/join_map.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<std::string> measure(int sensor)
{
    asio::steady_timer delay(co_await asio::this_coro::executor, 2ms);
    co_await delay.async_wait(asio::deferred);
    if (sensor == 3)
        throw std::runtime_error("sensor 3 is broken");
    co_return "value of " + std::to_string(sensor);
}

// A joinery::task awaits an awaitable, as it awaits anything else.
joinery::task<std::string> measure_twice(int sensor)
{
    const std::string first = co_await measure(sensor);
    const std::string second = co_await measure(sensor);
    co_return first + ", twice" + (first == second ? "" : "?");
}

asio::awaitable<std::map<int, std::string>> collect()
{
    joinery::join_map<int, std::string> sensors(co_await asio::this_coro::executor);
    sensors.spawn(1, measure(1));
    sensors.spawn(2, measure_twice(2));
    sensors.spawn(3, measure(3));
    sensors.spawn(4, [] { return std::string("a constant"); });
    sensors.spawn(5, measure(5));
    sensors.abort(5);

    std::map<int, std::string> values;
    while (auto done = co_await sensors.async_join_next()) // asio::deferred is the default token
        values[done->key] = done->result ? *done->result : done->result.error().is_exception() ? "failed" : "aborted";
    co_return values;
}

// An operation is work as it stands, and a handler joins as well as a coroutine does.
bool join_without_coroutines()
{
    asio::io_context context;
    asio::steady_timer soon(context, 1ms);
    asio::steady_timer never(context, asio::steady_timer::time_point::max());
    joinery::join_map<std::string, void> timers(context);
    timers.spawn("soon", soon.async_wait(asio::deferred));
    timers.spawn("never", never.async_wait(asio::deferred));

    std::string first;
    timers.async_join_next([&first](boost::system::error_code error, auto done) {
        if (!error && done && done->result.has_value())
            first = done->key;
    });
    while (first.empty() && context.run_one() != 0) {
    }

    bool ended = false;
    timers.async_shutdown([&ended](boost::system::error_code error) { ended = !error; });
    context.run();
    return first == "soon" && ended && timers.empty();
}

} // namespace

int main()
{
    asio::io_context context;
    std::map<int, std::string> values;
    asio::co_spawn(context, collect(), [&values](std::exception_ptr error, std::map<int, std::string> result) {
        if (!error)
            values = std::move(result);
    });
    context.run();
    for (const auto& [sensor, value] : values)
        std::cout << sensor << ": " << value << '\n';

    const std::map<int, std::string> expected = {
        {1, "value of 1"}, {2, "value of 2, twice"}, {3, "failed"}, {4, "a constant"}, {5, "aborted"},
    };
    return values == expected && join_without_coroutines() ? EXIT_SUCCESS : EXIT_FAILURE;
}
