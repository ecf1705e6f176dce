// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/join_error.hpp>
#include <joinery/task_id.hpp>

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace jobserver {

/// The outcomes of jobs that have ended: the last one for each key, and of those the newest ones.
class result_store {
public:
    struct entry {
        std::string key;
        joinery::join_result<std::string> result;
        joinery::task_id id;
    };

    explicit result_store(std::size_t most)
        : most_(most)
    {
    }

    /// Keeps an outcome, and drops the oldest if there are too many.
    void put(entry ended)
    {
        erase(ended.key);
        entries_.push_front(std::move(ended));
        by_key_[entries_.front().key] = entries_.begin();
        if (entries_.size() > most_) {
            by_key_.erase(entries_.back().key);
            entries_.pop_back();
        }
    }

    /// Null if there is none.
    const entry* find(const std::string& key) const
    {
        const auto found = by_key_.find(key);
        return found == by_key_.end() ? nullptr : &*found->second;
    }

    void erase(const std::string& key)
    {
        const auto found = by_key_.find(key);
        if (found == by_key_.end())
            return;
        const auto place = found->second;
        by_key_.erase(found);
        entries_.erase(place);
    }

private:
    std::size_t most_;
    std::list<entry> entries_; // the newest first
    std::unordered_map<std::string, std::list<entry>::iterator> by_key_;
};

} // namespace jobserver
