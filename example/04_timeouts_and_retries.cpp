// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Requests by id, each with a time limit and some retries. A time limit is a task too: under the same key, in a map
// beside, it sleeps and then aborts the request. To try again is to spawn again under the same key.

#include <joinery/abort_handle.hpp>
#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;

// A server of which request 2 gets an answer at the third attempt, and request 3 never.
joinery::task<std::string> request(int id, int attempt)
{
    if ((id == 2 && attempt < 3) || id == 3)
        co_await joinery::this_task::sleep_forever();
    co_await joinery::this_task::yield();
    co_return "answer " + std::to_string(id);
}

joinery::task<> abort_after(std::chrono::milliseconds limit, joinery::abort_handle request)
{
    co_await joinery::this_task::sleep_for(limit);
    request.abort(); // of no effect if the request has finished
}

class client {
public:
    explicit client(const boost::asio::any_io_executor& executor)
        : requests_(executor)
        , limits_(executor)
    {
    }

    void send(int id)
    {
        const int attempt = ++attempts_[id];
        // If this is another attempt, its limit replaces the one of the attempt before.
        limits_.spawn(id, abort_after(10ms, requests_.spawn(id, request(id, attempt))));
    }

    // Waits until each request has an answer, or has had three attempts.
    joinery::task<std::map<int, std::string>> finish()
    {
        std::map<int, std::string> answers;
        while (auto done = co_await requests_.async_join_next()) {
            const int id = done->key;
            limits_.abort(id);
            if (done->result) {
                answers[id] = std::move(*done->result);
            } else if (done->result.error().is_cancelled() && attempts_[id] < 3) {
                std::cout << "request " << id << ": no answer in time, trying again\n";
                send(id);
            } else {
                answers[id] = "given up: " + done->result.error().message();
            }
        }
        co_await limits_.async_shutdown();
        co_return answers;
    }

    int attempts(int id)
    {
        return attempts_[id];
    }

private:
    joinery::join_map<int, std::string> requests_;
    joinery::join_map<int, void> limits_;
    std::map<int, int> attempts_;
};

joinery::task<bool> run()
{
    client requests(co_await boost::asio::this_coro::executor);
    for (int id : {1, 2, 3})
        requests.send(id);
    std::map<int, std::string> answers = co_await requests.finish();
    for (const auto& [id, text] : answers)
        std::cout << "request " << id << ": " << text << '\n';

    co_return answers[1] == "answer 1" && answers[2] == "answer 2" && answers[3].starts_with("given up") &&
        requests.attempts(1) == 1 && requests.attempts(2) == 3 && requests.attempts(3) == 3;
}

} // namespace

int main()
{
    return joinery::block_on(run()) ? EXIT_SUCCESS : EXIT_FAILURE;
}
