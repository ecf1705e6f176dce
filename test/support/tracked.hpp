// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace joinery::test {

/// What became of the `tracked` objects of a test, in order. Any thread.
class journal {
public:
    void begin()
    {
        const std::lock_guard lock(mutex_);
        ++begun_;
        most_alive_ = std::max(most_alive_, begun_ - static_cast<int>(ended_.size()));
    }

    void end(std::string name)
    {
        const std::lock_guard lock(mutex_);
        ended_.push_back(std::move(name));
        threads_.push_back(std::this_thread::get_id());
    }

    int begun() const
    {
        const std::lock_guard lock(mutex_);
        return begun_;
    }

    int alive() const
    {
        const std::lock_guard lock(mutex_);
        return begun_ - static_cast<int>(ended_.size());
    }

    int most_alive() const
    {
        const std::lock_guard lock(mutex_);
        return most_alive_;
    }

    /// The names of the objects that were destroyed, the first one first.
    std::vector<std::string> ended() const
    {
        const std::lock_guard lock(mutex_);
        return ended_;
    }

    /// The threads on which they were.
    std::vector<std::thread::id> threads() const
    {
        const std::lock_guard lock(mutex_);
        return threads_;
    }

private:
    mutable std::mutex mutex_;
    int begun_ = 0;
    int most_alive_ = 0;
    std::vector<std::string> ended_;
    std::vector<std::thread::id> threads_;
};

/// An object whose life a journal follows through its moves. Neither copyable nor default-constructible.
class tracked {
public:
    explicit tracked(journal& in, std::string name = {}, std::function<void()> at_end = {})
        : journal_(&in)
        , name_(std::move(name))
        , at_end_(std::move(at_end))
    {
        journal_->begin();
    }

    tracked(tracked&& other) noexcept
        : journal_(std::exchange(other.journal_, nullptr))
        , name_(std::move(other.name_))
        , at_end_(std::move(other.at_end_))
    {
    }

    tracked& operator=(tracked&& other) noexcept
    {
        std::swap(journal_, other.journal_);
        std::swap(name_, other.name_);
        std::swap(at_end_, other.at_end_);
        return *this;
    }

    ~tracked()
    {
        if (!journal_)
            return;
        if (at_end_)
            at_end_();
        journal_->end(std::move(name_));
    }

    const std::string& name() const noexcept
    {
        return name_;
    }

private:
    journal* journal_;
    std::string name_;
    std::function<void()> at_end_; // what the destructor does besides
};

} // namespace joinery::test
