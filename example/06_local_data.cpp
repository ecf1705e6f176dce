// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// A local_set runs all of its tasks on one thread, so that they share data without locks. What computes goes to
// threads of its own; its results come back to the local thread to be joined.

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;

using stock = std::map<std::string, int>; // shared by all tasks, and guarded by nothing

joinery::task<> buy(stock& goods, std::string what, int count)
{
    // Between two co_awaits no other task of the set runs.
    goods[what] += count;
    co_await joinery::this_task::yield();
}

joinery::task<bool> sell(stock& goods, std::string what, int count)
{
    for (int attempt = 0; attempt != 1000; ++attempt) {
        if (goods[what] >= count) {
            goods[what] -= count; // nobody came between the test and this
            co_return true;
        }
        co_await joinery::this_task::sleep_for(1ms);
    }
    co_return false;
}

joinery::task<int> trade(stock& goods, joinery::runtime& threads)
{
    // spawn_local finds the local_set that runs on this thread; the map's own executor is the runtime's.
    joinery::join_map<std::string, int> work(threads);
    work.spawn_local("sell apples", sell(goods, "apple", 5));
    work.spawn_local("sell pears", sell(goods, "pear", 2));

    // A plain function, on some worker of the runtime. It must not touch the goods: it returns a value instead.
    work.spawn("forecast", [] { return 6 * 7; });

    joinery::join_set<void> purchases(threads);
    for (int i = 0; i != 3; ++i)
        purchases.spawn_local(buy(goods, "apple", 2));
    purchases.spawn_local(buy(goods, "pear", 2));

    int sold = 0;
    while (auto done = co_await work.async_join_next()) {
        const int value = done->result.value();
        std::cout << done->key << ": " << value << '\n';
        if (done->key == "forecast")
            goods["forecast"] = value; // here, on the local thread
        else
            sold += value;
    }
    co_await purchases.async_join_all();
    co_return sold;
}

bool is_refused_elsewhere(joinery::runtime& threads)
{
    joinery::join_set<int> set(threads);
    try {
        set.spawn_local([] { return 1; }); // never runs
    } catch (const std::logic_error&) {
        return true; // no local_set runs on this thread
    }
    return false;
}

} // namespace

int main()
{
    joinery::runtime threads(2);
    stock goods;
    joinery::local_set local;
    const int sold = local.run_until(trade(goods, threads));

    const stock expected = {{"apple", 1}, {"forecast", 42}, {"pear", 0}};
    return sold == 2 && goods == expected && is_refused_elsewhere(threads) ? EXIT_SUCCESS : EXIT_FAILURE;
}
