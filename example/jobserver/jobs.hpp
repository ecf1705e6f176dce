// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "options.hpp"
#include "results.hpp"
#include "work.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/object.hpp>
#include <joinery/join_map.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace jobserver {

/// The jobs, and what has become of them.
/**
 * The map and the results belong to one worker of the runtime, the owner's. `start` may be called on any thread, for it
 * uses the map by its handle; the coroutines are to run on the owner's worker. Each keeps the service.
 */
class job_service {
public:
    using job_map = joinery::join_map<std::string, std::string>;
    using pointer = std::shared_ptr<job_service>;

    /// What the end has left.
    struct remains {
        std::set<std::string> aborted;    ///< were not let come to their ends
        std::vector<std::string> running; ///< have not ended yet
    };

    job_service(joinery::runtime& workers, boost::asio::any_io_executor owner, const options& chosen);

    const boost::asio::any_io_executor& owner() const noexcept
    {
        return owner_;
    }

    /// Any thread. @throws boost::system::system_error  with `joinery::errc::full` or `joinery::errc::closed`
    joinery::spawned start(const std::string& key, job_request job) const;

    /// Any thread.
    bool is_closed() const noexcept
    {
        return handle_.is_closed();
    }

    /// Takes the outcomes of jobs, until there will be no more.
    static joinery::task<> collect(pointer self);

    /// What all jobs do, and what has become of others.
    static joinery::task<boost::json::object> list(pointer self);

    /// What a job does, or what has become of it.
    static joinery::task<std::optional<boost::json::object>> look_at(pointer self, std::string key);

    /// Aborts what there is under a key, waits until it has ended, and forgets it. What became of it.
    static joinery::task<std::optional<boost::json::object>> remove(pointer self, std::string key);

    /// Takes no more jobs; lets those that run come to their ends, then aborts them, then leaves them.
    static joinery::task<remains> end(pointer self, std::chrono::nanoseconds grace, std::chrono::nanoseconds patience);

private:
    // The jobs that have ended since the end began, and not because of it. They do so on all threads, and may outlive the
    // service.
    struct end_record {
        std::mutex mutex;
        bool is_wanted = false;
        std::set<joinery::task_id> ended;
    };

    std::vector<joinery::task_id> ids_under(const std::string& key) const;
    bool has_any_of(const std::vector<joinery::task_id>& ids) const;

    boost::asio::any_io_executor owner_;
    std::shared_ptr<end_record> ends_;
    job_map jobs_;
    job_map::handle handle_;
    result_store results_;
    boost::asio::steady_timer joined_; // never expires; it is cancelled whenever an outcome has been taken
};

} // namespace jobserver
