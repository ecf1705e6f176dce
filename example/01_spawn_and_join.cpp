// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Requests that run side by side, each under its id: spawn them all, then take the replies as they come.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;

// Stands for a request over a network. Nothing of it runs before it is spawned or awaited.
joinery::task<std::string> fetch(int id)
{
    co_await joinery::this_task::sleep_for(id * 5ms);
    if (id == 3)
        throw std::runtime_error("no such page");
    co_return "page " + std::to_string(id);
}

joinery::task<std::map<int, std::string>> fetch_all()
{
    std::map<int, std::string> report;

    // Its tasks run where this task runs: on the thread that is in block_on.
    joinery::join_map<int, std::string> requests(co_await boost::asio::this_coro::executor);
    for (int id = 5; id != 0; --id)
        requests.spawn(id, fetch(id));

    // In the order in which they end. When no task is left there is nothing to wait for, and the loop ends.
    while (auto done = co_await requests.async_join_next()) {
        if (done->result)
            report[done->key] = *done->result;
        else
            report[done->key] = done->result.error().is_exception() ? "failed" : "cancelled";
    }
    co_return report;
}

} // namespace

int main()
{
    const std::map<int, std::string> report = joinery::block_on(fetch_all());
    for (const auto& [id, text] : report)
        std::cout << id << ": " << text << '\n';

    const std::map<int, std::string> expected = {
        {1, "page 1"}, {2, "page 2"}, {3, "failed"}, {4, "page 4"}, {5, "page 5"},
    };
    return report == expected ? EXIT_SUCCESS : EXIT_FAILURE;
}
