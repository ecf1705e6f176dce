// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "database.hpp"
#include "options.hpp"
#include "watches.hpp"

#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/task.hpp>

#include <functional>
#include <set>
#include <string>

namespace indexer {

/// The paths for which the index is being brought up to date, or will be.
using update_map = joinery::join_map<std::string, void>;

/// What updates work with. It outlives every task, and every function on its pools.
struct workshop {
    explicit workshop(const options& chosen);

    const options& wanted;
    database index;
    watch_list watches;
    joinery::blocking_pool readers;
    joinery::blocking_pool writer; ///< one thread: only there is the index used

    /// Of what was going on when the end began, that which has not been done. On the thread of the tasks.
    std::multiset<std::string> due;
};

/// How much is to happen before the index is brought up to date for a path.
enum class urgency {
    settles, ///< nothing for a while: who writes a file may not have done with it
    at_once,
    overtakes, ///< at once, and what is going on for the path has come to nothing
};

/// Sees to it that the index is brought up to date for a path. Nothing happens when the map is closed.
void spawn_update(workshop& work, const update_map::handle& updates, std::string path, urgency when);

/// Brings the index up to date for a path, whatever is there now: a file, a directory, or nothing.
/** `listed` is called when what is in the directory is known, and will not be missed when it changes. */
joinery::task<> update(workshop& work, update_map::handle updates, std::string path, std::function<void()> listed = {});

} // namespace indexer
