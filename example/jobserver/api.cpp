// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "api.hpp"

#include "on_executor.hpp"
#include "work.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/json.hpp>
#include <boost/system/system_error.hpp>
#include <joinery/error.hpp>
#include <joinery/spawn_options.hpp>

#include <algorithm>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

namespace jobserver {
namespace {

namespace http = boost::beast::http;
namespace json = boost::json;

constexpr std::size_t longest_key = 100;

response reply(http::status status, const json::object& body)
{
    response said(status, 11);
    said.set(http::field::server, "jobserver");
    said.set(http::field::content_type, "application/json");
    said.body() = json::serialize(body) + '\n';
    return said;
}

response refuse_method(const char* allowed)
{
    response said = refusal(http::status::method_not_allowed, std::string("only for ") + allowed);
    said.set(http::field::allow, allowed);
    return said;
}

bool is_key(std::string_view text)
{
    const auto may_be_in_key = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.' || c == '~';
    };
    return !text.empty() && text.size() <= longest_key && std::ranges::all_of(text, may_be_in_key);
}

http::status status_for(joinery::spawn_outcome outcome)
{
    switch (outcome) {
    case joinery::spawn_outcome::started:
        return http::status::created;
    case joinery::spawn_outcome::queued:
        return http::status::accepted;
    default:
        return http::status::ok;
    }
}

response refusal_for(const boost::system::system_error& refused)
{
    if (refused.code() == joinery::errc::closed)
        return refusal(http::status::service_unavailable, "the server is stopping");
    if (refused.code() != joinery::errc::full)
        throw refused;
    response said = refusal(http::status::too_many_requests, "too many jobs wait");
    said.set(http::field::retry_after, "1");
    return said;
}

response start(const job_service& jobs, const std::string& key, const request& asked)
{
    try {
        const joinery::spawned made = jobs.start(key, parse_job(asked.body()));
        std::ostringstream outcome;
        outcome << made.outcome;
        return reply(status_for(made.outcome),
                     {{"key", key}, {"id", made.handle.id().value()}, {"outcome", outcome.str()}});
    } catch (const bad_request& error) {
        return refusal(http::status::bad_request, error.what());
    } catch (const boost::system::system_error& refused) {
        return refusal_for(refused);
    }
}

response found_or_not(const std::optional<json::object>& found)
{
    return found ? reply(http::status::ok, *found) : refusal(http::status::not_found, "no such job");
}

joinery::task<response> answer_for_key(job_service::pointer jobs, std::string key, const request& asked)
{
    switch (asked.method()) {
    case http::verb::put:
        co_return start(*jobs, key, asked);
    case http::verb::get: {
        auto look = job_service::look_at(jobs, std::move(key));
        co_return found_or_not(co_await on_executor(jobs->owner(), std::move(look)));
    }
    case http::verb::delete_: {
        auto remove = job_service::remove(jobs, std::move(key));
        co_return found_or_not(co_await on_executor(jobs->owner(), std::move(remove)));
    }
    default:
        co_return refuse_method("GET, PUT, DELETE");
    }
}

} // namespace

response refusal(http::status status, std::string_view why)
{
    return reply(status, {{"error", json::string_view(why.data(), why.size())}});
}

joinery::task<response> answer(job_service::pointer jobs, const request& asked)
{
    constexpr std::string_view prefix = "/jobs/";
    const std::string_view target(asked.target().data(), asked.target().size());
    if (target == "/jobs" && asked.method() == http::verb::get) {
        auto list = job_service::list(jobs);
        const json::object all = co_await on_executor(jobs->owner(), std::move(list));
        co_return reply(http::status::ok, all);
    }
    if (target == "/jobs")
        co_return refuse_method("GET");
    if (!target.starts_with(prefix))
        co_return refusal(http::status::not_found, "there is nothing but /jobs and /jobs/{key}");
    const std::string key(target.substr(prefix.size()));
    if (!is_key(key))
        co_return refusal(http::status::bad_request, "a key is up to 100 letters, digits, and -._~");
    co_return co_await answer_for_key(jobs, key, asked);
}

} // namespace jobserver
