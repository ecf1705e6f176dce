// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "fetch.hpp"
#include "progress.hpp"
#include "site.hpp"

#include <joinery/runtime.hpp>
#include <joinery/task.hpp>

#include <memory>

namespace linkcheck {

struct crawl_limits {
    int jobs = 10; ///< requests at once
    int retries = 1;
};

/// Asks for everything that the site wants to know, until there is nothing left.
/**
 * SIGINT and SIGTERM end it early: requests under way are aborted, and the site counts them and
 * what was still to be asked for as unchecked. A second signal ends the process.
 */
joinery::task<void> crawl(joinery::runtime& workers, site& links, crawl_limits limits,
                          std::shared_ptr<fetch_settings> settings, progress_bar& bar);

} // namespace linkcheck
