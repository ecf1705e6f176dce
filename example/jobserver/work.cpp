// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "work.hpp"

#include <boost/json.hpp>
#include <joinery/this_task.hpp>

#include <array>
#include <stdexcept>
#include <utility>

namespace jobserver {
namespace {

namespace json = boost::json;

constexpr std::uint64_t most_milliseconds = 24 * 3'600'000;
constexpr std::uint64_t most_rounds = 1'000'000'000'000;
constexpr std::uint64_t most_primes = 1'000'000'000;
constexpr std::uint64_t step = 20'000; // computations between two looks around: less than a millisecond

struct command {
    std::string_view name;
    std::string_view number; // what its number is called, if it has one
    std::uint64_t most;
    std::string_view text; // what its text is called, if it has one
};

constexpr std::array commands = {
    command{"sleep", "ms", most_milliseconds, ""},
    command{"commit", "ms", most_milliseconds, ""},
    command{"hash", "rounds", most_rounds, "text"},
    command{"primes", "below", most_primes, ""},
    command{"fail", "", 0, "message"},
};

std::uint64_t number_of(const json::value& value, std::string_view name, std::uint64_t most)
{
    boost::system::error_code error;
    const auto number = value.is_number() ? value.to_number<std::uint64_t>(error) : std::uint64_t();
    if (!value.is_number() || error || number > most)
        throw bad_request(std::string(name) + " is to be a whole number up to " + std::to_string(most));
    return number;
}

std::string text_of(const json::value& value, std::string_view name)
{
    if (!value.is_string())
        throw bad_request(std::string(name) + " is to be a string");
    return std::string(value.get_string());
}

joinery::on_conflict conflict_of(const std::string& name)
{
    using joinery::on_conflict;
    constexpr std::pair<std::string_view, on_conflict> policies[] = {
        {"replace", on_conflict::replace},
        {"keep", on_conflict::keep},
        {"replace_after_exit", on_conflict::replace_after_exit},
        {"queue_latest", on_conflict::queue_latest},
    };
    for (const auto& [known, policy] : policies) {
        if (known == name)
            return policy;
    }
    throw bad_request("conflict is to be replace, keep, replace_after_exit or queue_latest");
}

const command& command_in(const json::object& body)
{
    const json::value* const name = body.if_contains("command");
    if (!name)
        throw bad_request("no command");
    for (const command& each : commands) {
        if (each.name == text_of(*name, "command"))
            return each;
    }
    throw bad_request("no such command: sleep, commit, hash, primes and fail are known");
}

joinery::task<std::string> sleep(std::uint64_t milliseconds)
{
    co_await joinery::this_task::sleep_for(std::chrono::milliseconds(milliseconds));
    co_return json::serialize(json::object{{"slept_ms", milliseconds}});
}

// Stands for what must not be left half done: an abort waits for its end.
joinery::task<std::string> commit(std::uint64_t milliseconds)
{
    const auto hold = co_await joinery::this_task::hold_abort();
    co_await joinery::this_task::sleep_for(std::chrono::milliseconds(milliseconds));
    co_return json::serialize(json::object{{"committed", true}});
}

// FNV-1a, over and over. It computes where connections are served too: so it gives way every now and then, and an
// abort ends it there.
joinery::task<std::string> hash(std::string text, std::uint64_t rounds)
{
    std::uint64_t sum = 0xcbf29ce484222325U;
    for (std::uint64_t round = 0, done = 0; round < rounds; ++round) {
        for (const char each : text)
            sum = (sum ^ static_cast<unsigned char>(each)) * 0x100000001b3U;
        done += text.size() + 1;
        if (done >= step) {
            done = 0;
            co_await joinery::this_task::yield();
        }
    }
    co_return json::serialize(json::object{{"hash", sum}});
}

bool is_prime(std::uint64_t number)
{
    for (std::uint64_t divisor = 2; divisor * divisor <= number; ++divisor) {
        if (number % divisor == 0)
            return false;
    }
    return number > 1;
}

// When the server is about to stop, it comes to an end by itself, with what it has.
joinery::task<std::string> primes(std::uint64_t below)
{
    const auto stop = co_await joinery::this_task::stop_token();
    std::uint64_t found = 0;
    std::uint64_t number = 0;
    for (; number < below && !stop.stop_requested(); ++number) {
        found += is_prime(number) ? 1 : 0;
        if (number % 16 == 0) // of up to thirty thousand divisions each
            co_await joinery::this_task::yield();
    }
    co_return json::serialize(json::object{{"primes", found}, {"below", number}});
}

} // namespace

job_request parse_job(std::string_view body)
{
    boost::system::error_code error;
    const json::value parsed = json::parse(json::string_view(body.data(), body.size()), error);
    const json::object* const object = error ? nullptr : parsed.if_object();
    if (!object)
        throw bad_request("the body is to be a JSON object");
    const command& wanted = command_in(*object);
    job_request job;
    job.command = wanted.name;
    if (!wanted.number.empty() && !object->contains(json::string_view(wanted.number.data(), wanted.number.size())))
        throw bad_request(job.command + " needs " + std::string(wanted.number));
    for (const json::key_value_pair& each : *object) {
        const std::string_view name(each.key().data(), each.key().size());
        if (name == "command")
            continue;
        if (name == "conflict")
            job.conflict = conflict_of(text_of(each.value(), name));
        else if (name == "delay_ms")
            job.delay = std::chrono::milliseconds(number_of(each.value(), name, most_milliseconds));
        else if (name == "deadline_ms")
            job.deadline = std::chrono::milliseconds(number_of(each.value(), name, most_milliseconds));
        else if (!name.empty() && name == wanted.number)
            job.number = number_of(each.value(), name, wanted.most);
        else if (!name.empty() && name == wanted.text)
            job.text = text_of(each.value(), name);
        else
            throw bad_request(job.command + " knows no " + std::string(name));
    }
    return job;
}

joinery::task<std::string> work_of(job_request job)
{
    if (job.command == "sleep")
        return sleep(job.number);
    if (job.command == "commit")
        return commit(job.number);
    if (job.command == "hash")
        return hash(std::move(job.text), job.number);
    if (job.command == "primes")
        return primes(job.number);
    return [](std::string message) -> joinery::task<std::string> {
        throw std::runtime_error(message);
        co_return message;
    }(std::move(job.text));
}

} // namespace jobserver
