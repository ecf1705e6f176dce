// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Parallel requests that write into the locals of who asks. A scope is not left before each of them has ended, so there
// is nothing to share and nothing to keep alive. Each request has a time limit, and is tried again when it fails.

#include <joinery/block_on.hpp>
#include <joinery/join_error.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/retry.hpp>
#include <joinery/scope.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>
#include <joinery/with_timeout.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

// A server that forgets to answer now and then.
class server {
public:
    joinery::task<std::string> answer(std::string question)
    {
        if (++requests_ % 3 == 0)
            co_await joinery::this_task::sleep_forever();
        co_await joinery::this_task::sleep_for(1ms);
        if (question.empty())
            throw std::invalid_argument("no question");
        co_return question + "!";
    }

private:
    int requests_ = 0;
};

// Each attempt has 20 ms, and there are four. A question that makes no sense is not asked again.
joinery::task<std::string> ask(server& asked, std::string question)
{
    const auto attempt = [&] { return joinery::with_timeout(20ms, asked.answer(question)); };
    const auto is_worth_another = [](const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const joinery::task_cancelled&) {
            return true;
        } catch (...) {
            return false;
        }
    };
    co_return co_await joinery::retry(attempt, {.attempts = 4, .first_delay = 1ms}, is_worth_another);
}

joinery::task<std::vector<std::string>> ask_all(server& asked, std::vector<std::string> questions)
{
    std::vector<std::string> answers(questions.size());
    co_await joinery::async_scope<joinery::join_set<void>>([&](joinery::join_set<void>& tasks) {
        for (std::size_t i = 0; i != questions.size(); ++i) {
            tasks.spawn([&answers, &questions, &asked, i]() -> joinery::task<> {
                answers[i] = co_await ask(asked, questions[i]);
            });
        }
    });
    co_return answers; // all are there, or the first failure was thrown and the other requests have ended
}

// The body is a coroutine too: here it takes the first answer that comes, and leaves. The others are not needed.
joinery::task<std::string> ask_any(server& asked, std::vector<std::string> questions)
{
    using requests = joinery::join_map<std::string, std::string>;
    co_return co_await joinery::async_scope<requests>([&](requests& tasks) -> joinery::task<std::string> {
        for (const std::string& question : questions)
            tasks.spawn(question, ask(asked, question));
        auto first = co_await tasks.async_join_next();
        tasks.abort_all();
        co_return std::move(first->result).value();
    });
}

joinery::task<bool> run()
{
    const std::vector<std::string> questions{"one", "two", "three", "four"};
    const std::vector<std::string> with_a_bad_one{"five", "", "seven"};
    server asked;
    bool all_are_right = true;
    const std::vector<std::string> answers = co_await ask_all(asked, questions);
    for (std::size_t i = 0; i != answers.size(); ++i) {
        std::cout << answers[i] << '\n';
        all_are_right = all_are_right && answers[i] == questions[i] + "!";
    }

    const std::string any = co_await ask_any(asked, questions);
    std::cout << "the first of four: " << any << '\n';

    std::string failure;
    try {
        co_await ask_all(asked, with_a_bad_one);
    } catch (const std::invalid_argument& error) {
        failure = error.what();
    }
    std::cout << "the batch failed: " << failure << '\n';
    co_return all_are_right&& any.ends_with('!') && failure == "no question";
}

} // namespace

int main()
{
    return joinery::block_on(run()) ? EXIT_SUCCESS : EXIT_FAILURE;
}
