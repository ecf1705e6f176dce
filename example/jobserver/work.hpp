// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/spawn_options.hpp>
#include <joinery/task.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace jobserver {

/// What a client wants to have done.
struct job_request {
    std::string command;
    std::uint64_t number = 0; ///< milliseconds, rounds, or a bound
    std::string text;
    joinery::on_conflict conflict = joinery::on_conflict::replace;
    std::chrono::milliseconds delay{0};
    std::optional<std::chrono::milliseconds> deadline;
};

/// Thrown for a request that makes no sense; says why.
struct bad_request : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Reads the body of a request. @throws bad_request
job_request parse_job(std::string_view body);

/// The work of a job, which yields its result as JSON. Every kind of it ends soon after an abort, but for `commit`.
joinery::task<std::string> work_of(job_request job);

} // namespace jobserver
