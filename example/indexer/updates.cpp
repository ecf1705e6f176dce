// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "updates.hpp"

#include "on_pool.hpp"
#include "sight.hpp"

#include <joinery/error.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/this_task.hpp>

#include <boost/system/system_error.hpp>

#include <iostream>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

namespace indexer {
namespace {

void say(const workshop& work, std::string_view what, const std::string& path)
{
    if (work.wanted.is_verbose)
        std::cout << what << ' ' << path << std::endl;
}

// Each change of the index would be an event, and lead to another change.
bool is_of_index(const std::string& path, const std::string& database)
{
    if (!path.starts_with(database))
        return false;
    const std::string_view rest = std::string_view(path).substr(database.size());
    return rest.empty() || rest == "-wal" || rest == "-shm" || rest == "-journal";
}

joinery::task<> store(workshop& work, const std::string& path, const sight& seen)
{
    auto write = [&] { work.index.store(path, seen); };
    co_await on_pool<void>(work.writer, std::move(write));
    say(work, "indexed", path);
}

joinery::task<> remove(workshop& work, const std::string& path)
{
    work.watches.remove(path); // it may have been a directory
    auto erase = [&] { return work.index.remove(path); };
    const bool was_there = co_await on_pool<bool>(work.writer, std::move(erase));
    if (was_there)
        say(work, "removed", path);
}

// Has every entry looked at for which the index is not known to be right, also those that are not there any more.
joinery::task<> enter(workshop& work, const update_map::handle& updates, const std::string& path, const sight& seen)
{
    auto compare = [&] { return work.index.differences(path, seen.entries); };
    const std::vector<std::string> names = co_await on_pool<std::vector<std::string>>(work.writer, std::move(compare));
    for (const std::string& name : names)
        spawn_update(work, updates, path + '/' + name, urgency::at_once);
}

} // namespace

workshop::workshop(const options& chosen)
    : wanted(chosen)
    , index(chosen.database, database::access::write)
    , readers({.max_threads = chosen.jobs})
    , writer({.max_threads = 1})
{
}

void spawn_update(workshop& work, const update_map::handle& updates, std::string path, urgency when)
{
    if (is_of_index(path, work.wanted.database))
        return;
    // A file that is being read when it is written again is read to its end, and then once more: so one that is written
    // all the time is found by what it was a moment ago, rather than never. What is gone need not be read to its end.
    joinery::spawn_options options;
    options.conflict =
        when == urgency::overtakes ? joinery::on_conflict::replace_after_exit : joinery::on_conflict::queue_latest;
    if (when == urgency::settles)
        options.delay = work.wanted.delay;
    auto task = update(work, updates, path);
    try {
        updates.spawn(std::move(path), std::move(task), options);
    } catch (const boost::system::system_error& refused) {
        if (refused.code() != joinery::errc::closed)
            throw;
    }
}

joinery::task<> update(workshop& work, update_map::handle updates, std::string path, std::function<void()> listed)
{
    auto look = [&work, &path](const std::stop_token& stop) {
        work.watches.add(path); // before it is read, if it is a directory: then nothing is missed
        return look_at(path, work.wanted.max_size, stop);
    };
    const sight seen = co_await on_pool<sight>(work.readers, std::move(look));

    // An abort up to here has changed nothing; one from here on waits until the index is right for what was seen.
    const auto hold = co_await joinery::this_task::hold_abort();
    switch (seen.what) {
    case sight::kind::nothing:
        co_await remove(work, path);
        break;
    case sight::kind::file:
        co_await store(work, path, seen);
        break;
    case sight::kind::directory:
        co_await enter(work, updates, path, seen);
        break;
    }
    if (listed)
        listed();
    if (const auto found = work.due.find(path); found != work.due.end())
        work.due.erase(found);
}

} // namespace indexer
