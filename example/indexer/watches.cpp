// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "watches.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

#include <sys/inotify.h>
#include <unistd.h>

namespace indexer {
namespace {

constexpr std::uint32_t wanted = IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                 IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;

bool is_at_or_below(const std::string& path, const std::string& directory)
{
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

file_event::kind kind_of(std::uint32_t mask)
{
    if (mask & (IN_DELETE | IN_MOVED_FROM))
        return file_event::kind::left;
    return mask & IN_ISDIR ? file_event::kind::arrived : file_event::kind::changed;
}

} // namespace

watch_list::watch_list()
    : descriptor_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
{
    if (descriptor_ < 0)
        throw std::system_error(errno, std::generic_category(), "inotify");
}

watch_list::~watch_list()
{
    ::close(descriptor_);
}

void watch_list::add(const std::string& directory)
{
    const std::lock_guard lock(mutex_);
    const int watch = ::inotify_add_watch(descriptor_, directory.c_str(), wanted);
    if (watch < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return;
    if (watch < 0 && errno == ENOSPC)
        throw std::system_error(errno, std::generic_category(), "too many watches, see fs.inotify.max_user_watches");
    if (watch < 0)
        throw std::system_error(errno, std::generic_category(), "cannot be watched");
    if (root_ < 0)
        root_ = watch;
    directories_[watch] = directory;
}

void watch_list::remove(const std::string& directory)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(directories_, [&](const auto& each) {
        if (!is_at_or_below(each.second, directory))
            return false;
        ::inotify_rm_watch(descriptor_, each.first); // fails if the directory is deleted, and so is the watch
        return true;
    });
}

std::vector<file_event> watch_list::events_in(const char* data, std::size_t size)
{
    std::vector<file_event> events;
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
        inotify_event event;
        std::memcpy(&event, data + at, sizeof event);
        const std::string name(event.len == 0 ? "" : data + at + sizeof event); // padded with zeros
        at += sizeof event + event.len;
        const auto directory = directories_.find(event.wd);
        if (event.mask & IN_Q_OVERFLOW)
            events.push_back({file_event::kind::overflow, {}});
        else if (event.wd == root_ && event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
            events.push_back({file_event::kind::root_left, {}});
        else if (directory != directories_.end() && event.mask & IN_IGNORED)
            directories_.erase(directory);
        else if (directory != directories_.end() && !name.empty())
            events.push_back({kind_of(event.mask), directory->second + '/' + name});
    }
    return events;
}

} // namespace indexer
