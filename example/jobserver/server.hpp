// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "jobs.hpp"
#include "options.hpp"

#include <joinery/join_set.hpp>
#include <joinery/task.hpp>

#include <functional>

namespace jobserver {

/// Listens, says on which port, and serves each connection by a task of a set, until it is aborted.
/** When as many connections are open as the set may run, the next one waits to be accepted. */
joinery::task<> listen(job_service::pointer jobs, joinery::join_set<void>& connections, const options& chosen,
                       std::function<void(unsigned short)> listening);

} // namespace jobserver
