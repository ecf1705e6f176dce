// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "jobs.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/json.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/observation.hpp>
#include <joinery/spawn_options.hpp>

#include <algorithm>
#include <utility>

namespace jobserver {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

std::int64_t milliseconds(std::chrono::nanoseconds time)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

std::string word_for(joinery::cancel_reason reason)
{
    constexpr const char* words[] = {"aborted", "timed_out", "replaced", "shutdown", "executor_gone"};
    return words[static_cast<std::size_t>(reason)];
}

json::object describe(const job_service::job_map::sight& seen)
{
    json::object job{{"key", seen.key},
                     {"id", seen.id.value()},
                     {"command", seen.name},
                     {"state", std::string(joinery::to_string(seen.state))},
                     {"age_ms", milliseconds(seen.age)}};
    if (!seen.waits_for.empty())
        job["waits_for"] = std::string(seen.waits_for);
    return job;
}

json::object describe(const std::string& key, joinery::task_id id, const joinery::join_result<std::string>& result)
{
    json::object job{{"key", key}, {"id", id.value()}};
    if (result.has_value()) {
        job["state"] = "done";
        job["result"] = json::parse(*result);
    } else if (result.error().is_cancelled()) {
        job["state"] = "cancelled";
        job["reason"] = word_for(result.error().reason());
    } else {
        job["state"] = "failed";
        job["reason"] = result.error().message();
    }
    return job;
}

} // namespace

job_service::job_service(joinery::runtime& workers, asio::any_io_executor owner, const options& chosen)
    : owner_(std::move(owner))
    , ends_(std::make_shared<end_record>())
    , jobs_(workers)
    , handle_(jobs_.get_handle())
    , results_(chosen.results)
    , joined_(owner_, asio::steady_timer::time_point::max())
{
    jobs_.set_limits({.running = chosen.running, .waiting = chosen.waiting});
    joinery::observation wanted;
    wanted.name = "jobs";
    wanted.on_end = [ends = ends_](joinery::task_id id, joinery::task_end how) {
        const std::lock_guard lock(ends->mutex);
        if (ends->is_wanted && how != joinery::task_end::cancelled)
            ends->ended.insert(id);
    };
    jobs_.observe(std::move(wanted));
}

joinery::spawned job_service::start(const std::string& key, job_request job) const
{
    joinery::spawn_options options;
    options.conflict = job.conflict;
    options.delay = job.delay;
    if (job.deadline)
        options.deadline = std::chrono::steady_clock::now() + *job.deadline;
    const std::string name = job.command;
    options.name = name;
    return handle_.spawn(key, work_of(std::move(job)), options);
}

joinery::task<> job_service::collect(pointer self)
{
    while (auto ended = co_await self->jobs_.async_join_until_closed()) {
        self->results_.put({std::move(ended->key), std::move(ended->result), ended->id});
        self->joined_.cancel();
    }
}

joinery::task<json::object> job_service::list(pointer self)
{
    json::array jobs;
    for (const job_map::sight& each : self->jobs_.snapshot())
        jobs.push_back(describe(each));
    const joinery::task_counters counted = self->jobs_.counters();
    json::object cancelled;
    for (std::size_t reason = 0; reason != counted.cancelled.size(); ++reason)
        cancelled[word_for(static_cast<joinery::cancel_reason>(reason))] = counted.cancelled[reason];
    co_return json::object{{"jobs", std::move(jobs)},          {"running", counted.running},
                           {"waiting", counted.waiting},       {"spawned", counted.spawned},
                           {"done", counted.finished},         {"failed", counted.failed},
                           {"cancelled", std::move(cancelled)}};
}

joinery::task<std::optional<json::object>> job_service::look_at(pointer self, std::string key)
{
    const std::vector<job_map::sight> all = self->jobs_.snapshot();
    const job_map::sight* newest = nullptr; // one that is queued stands beside the one for which it waits
    for (const job_map::sight& each : all) {
        if (each.key == key && (!newest || newest->id < each.id))
            newest = &each;
    }
    if (newest)
        co_return describe(*newest);
    if (const result_store::entry* const ended = self->results_.find(key))
        co_return describe(key, ended->id, ended->result);
    co_return std::nullopt;
}

std::vector<joinery::task_id> job_service::ids_under(const std::string& key) const
{
    std::vector<joinery::task_id> ids;
    for (const job_map::sight& each : jobs_.snapshot()) {
        if (each.key == key)
            ids.push_back(each.id);
    }
    return ids;
}

bool job_service::has_any_of(const std::vector<joinery::task_id>& ids) const
{
    return std::ranges::any_of(ids, [this](joinery::task_id id) { return jobs_.contains_task(id); });
}

joinery::task<std::optional<json::object>> job_service::remove(pointer self, std::string key)
{
    std::optional<json::object> found;
    if (const result_store::entry* const ended = self->results_.find(key))
        found = describe(key, ended->id, ended->result);
    self->results_.erase(key);

    // Under the key there is the newest; one whose end that waits for is reached by looking at all.
    const std::vector<joinery::task_id> ids = self->ids_under(key);
    self->jobs_.abort_matching([&key](const std::string& each) { return each == key; });
    {
        const std::lock_guard lock(self->ends_->mutex); // by the client's wish, and not by the end of the server
        if (self->ends_->is_wanted)
            self->ends_->ended.insert(ids.begin(), ids.end());
    }
    const auto newest = co_await self->jobs_.async_abort(key);
    if (newest)
        found = describe(key, newest->id, newest->result);
    while (self->has_any_of(ids))
        co_await self->joined_.async_wait(asio::as_tuple(asio::deferred));

    const result_store::entry* const ended = self->results_.find(key);
    if (ended && std::ranges::count(ids, ended->id) != 0) {
        if (!newest)
            found = describe(key, ended->id, ended->result);
        self->results_.erase(key);
    }
    co_return found;
}

joinery::task<job_service::remains> job_service::end(pointer self, std::chrono::nanoseconds grace,
                                                     std::chrono::nanoseconds patience)
{
    {
        const std::lock_guard lock(self->ends_->mutex);
        self->ends_->is_wanted = true;
    }
    self->jobs_.close(); // so that nothing comes after the look at what is there
    const std::vector<job_map::sight> all = self->jobs_.snapshot();
    auto left = co_await self->jobs_.async_shutdown(grace, patience, asio::deferred);
    self->joined_.cancel(); // there is nothing to be joined any more
    remains found;
    found.running = std::move(left.listed);
    const std::lock_guard lock(self->ends_->mutex);
    for (const job_map::sight& each : all) {
        const bool is_left = std::ranges::count(found.running, each.key) != 0;
        if (each.state != joinery::task_state::finished && !self->ends_->ended.contains(each.id) && !is_left)
            found.aborted.insert(each.key);
    }
    co_return found;
}

} // namespace jobserver
