// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace indexer {

/// Something that happened to a path.
struct file_event {
    enum class kind {
        changed,  ///< it was written, or has come, and more may follow
        arrived,  ///< a directory has come: what is in it is missed before it is watched
        left,     ///< it is not there any more
        overflow, ///< events were lost; no path
        root_left ///< the first directory that was watched is not there any more
    };

    kind what;
    std::string path;
};

/// The directories that are watched, through inotify.
/**
 * A directory is known by its path before its first event can be read, since both are done under one lock: so no event is
 * without a path that matters.
 *
 * @par Thread Safety One object: safe.
 */
class watch_list {
public:
    /// @throws std::system_error
    watch_list();
    ~watch_list();

    watch_list(const watch_list&) = delete;
    watch_list& operator=(const watch_list&) = delete;

    /// From which events can be read. Does not block.
    int descriptor() const noexcept
    {
        return descriptor_;
    }

    /// Watches a directory; one that was moved is known by its new path from now on. What is none is left alone.
    /** @throws std::system_error  when there may be no more watches, for one */
    void add(const std::string& directory);

    /// Watches neither a directory nor what is below it any more.
    void remove(const std::string& directory);

    /// What the kernel wrote to a buffer.
    std::vector<file_event> events_in(const char* data, std::size_t size);

private:
    int descriptor_;
    int root_ = -1; // the first watch
    std::mutex mutex_;
    std::unordered_map<int, std::string> directories_; // by their watches
};

} // namespace indexer
