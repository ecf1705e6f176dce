// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "fetch.hpp"
#include "site.hpp"

#include <joinery/task.hpp>

#include <memory>

namespace linkcheck {

/// Asks for one URL, as often as it takes and is allowed, and reads what comes as deep as wanted.
/**
 * What fails for a reason that may pass - no connection, no answer in time, an overloaded server -
 * is tried again up to `retries` times. A HEAD request that is refused is repeated as a GET.
 */
joinery::task<answer> check(site::request asked, int retries, std::shared_ptr<fetch_settings> settings);

} // namespace linkcheck
