// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// A batch with a result for each item: functions that compute or block run on a pool, and hold up no task.

#include <joinery/block_on.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/this_coro.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;

// An ordinary function. It may take long, and it may throw.
int count_divisors(int number)
{
    if (number < 1)
        throw std::invalid_argument(std::to_string(number) + " is not positive");
    int count = 0;
    for (int divisor = 1; divisor <= number; ++divisor)
        count += number % divisor == 0;
    return count;
}

joinery::task<bool> run_batch()
{
    joinery::join_map<int, int> batch(co_await boost::asio::this_coro::executor);
    for (int number : {360, 97, -1, 1024})
        batch.spawn_blocking(number, [number] { return count_divisors(number); });

    std::map<int, int> counts;
    while (auto done = co_await batch.async_join_next()) {
        if (done->result)
            counts[done->key] = *done->result;
        else
            std::cout << done->result.error() << '\n'; // names the task by its id: "task 4 failed: -1 is not positive"
    }
    for (const auto& [number, count] : counts)
        std::cout << number << " has " << count << " divisors\n";
    const std::map<int, int> expected = {{97, 2}, {360, 24}, {1024, 11}};
    co_return counts == expected;
}

// A function that runs cannot be destroyed from outside. It can be asked to stop, if it takes a stop_token; what it
// returns counts all the same. One that has not started is never entered.
joinery::task<bool> stop_early()
{
    joinery::blocking_pool pool({.max_threads = 1});
    std::atomic<bool> started = false;
    joinery::join_map<std::string, int> jobs(co_await boost::asio::this_coro::executor);

    jobs.spawn_blocking_on(pool, "runs", [&started](std::stop_token stop) {
        started = true;
        int rounds = 1;
        for (; !stop.stop_requested(); ++rounds)
            std::this_thread::sleep_for(1ms);
        return rounds;
    });
    jobs.spawn_blocking_on(pool, "waits for a thread", [] { return 0; });
    while (!started)
        co_await joinery::this_task::sleep_for(1ms);
    jobs.abort_all();

    bool stopped = false;
    bool dropped = false;
    while (auto done = co_await jobs.async_join_next()) {
        if (done->key == "runs")
            stopped = done->result.has_value();
        else
            dropped = done->result.has_error() && done->result.error().is_cancelled();
    }
    std::cout << (stopped && dropped ? "one stopped, one never started\n" : "something went wrong\n");
    co_return stopped&& dropped;
}

} // namespace

int main()
{
    const bool counted = joinery::block_on(run_batch());
    const bool ended = joinery::block_on(stop_early());
    return counted && ended ? EXIT_SUCCESS : EXIT_FAILURE;
}
