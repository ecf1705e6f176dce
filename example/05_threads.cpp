// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Tasks on a runtime, which has a thread for each core. Each task stays on the thread that it started on, so that it
// needs no lock for what is its own; two tasks may run at the same time.

#include <joinery/abort_handle.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/this_coro.hpp>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace {

int failures = 0;

void expect(bool holds, const char* what)
{
    if (!holds) {
        std::cerr << "it does not hold that " << what << '\n';
        ++failures;
    }
}

joinery::task<int> count_primes(int begin, int end)
{
    int primes = 0;
    for (int number = begin; number != end; ++number) {
        bool prime = number > 1;
        for (int divisor = 2; prime && divisor * divisor <= number; ++divisor)
            prime = number % divisor != 0;
        primes += prime;
    }
    co_return primes;
}

// A map made from the runtime spreads its tasks over the workers. Its members are still called by one owner at a time:
// here by this one task, on its own thread.
joinery::task<int> count_all_primes(joinery::runtime& runtime, int end)
{
    constexpr int step = 10'000;
    joinery::join_map<int, int> ranges(runtime);
    for (int begin = 0; begin < end; begin += step)
        ranges.spawn(begin, count_primes(begin, begin + step));

    int primes = 0;
    while (auto done = co_await ranges.async_join_next())
        primes += done->result.value(); // rethrows what the task threw
    co_return primes;
}

// A set made from the executor of this task has all of its tasks on this worker. They take turns, and share data that
// has no lock.
joinery::task<int> count_together()
{
    int sum = 0;
    joinery::join_set<void> here(co_await boost::asio::this_coro::executor);
    for (int i = 1; i <= 100; ++i) {
        here.spawn([&sum, i]() -> joinery::task<> {
            const int before = sum;
            sum = before + i;
            co_await joinery::this_task::yield();
        });
    }
    const auto all = co_await here.async_join_all();
    expect(all.size() == 100, "each task was joined");
    co_return sum;
}

// An abort may come from any thread, whatever the task does at that moment.
joinery::task<bool> abort_from_other_threads(joinery::runtime& runtime)
{
    std::atomic<int> rounds = 0;
    joinery::join_set<void> set(runtime);
    const joinery::abort_handle handle = set.spawn([&rounds]() -> joinery::task<> {
        for (;;) {
            ++rounds;
            co_await joinery::this_task::yield();
        }
    });
    const auto abort = [handle, &rounds] {
        while (rounds < 100)
            std::this_thread::yield();
        handle.abort();
    };
    set.spawn_blocking(abort); // on the runtime's pool for functions that block
    set.spawn_blocking(abort);

    bool aborted = false;
    while (auto done = co_await set.async_join_next()) {
        if (done->id == handle.id())
            aborted = done->result.has_error() && done->result.error().is_cancelled();
    }
    co_return aborted;
}

} // namespace

int main()
{
    joinery::runtime runtime(4); // without an argument: a worker for each core

    const int primes = runtime.block_on(count_all_primes(runtime, 200'000));
    std::cout << primes << " primes, counted on " << runtime.worker_count() << " threads\n";
    expect(primes == 17'984, "there are 17,984 primes below 200,000");

    expect(runtime.block_on(count_together()) == 5'050, "tasks of one worker share data without a lock");
    expect(runtime.block_on(abort_from_other_threads(runtime)), "the task was aborted");
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
