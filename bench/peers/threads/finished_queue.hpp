// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace peers {

/// What has finished on any thread, for the one that takes it: a deque, a mutex and a condition variable.
/** The owner takes all that is there at once, so that it locks once a batch. */
template<class T>
class finished_queue {
public:
    void push(T item)
    {
        const std::scoped_lock lock(mutex_);
        finished_.push_back(std::move(item));
        if (finished_.size() == 1)
            arrived_.notify_one();
    }

    /// Waits for one. Owner only.
    T pop()
    {
        if (taken_.empty()) {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return !finished_.empty(); });
            taken_.swap(finished_);
        }
        T item = std::move(taken_.front());
        taken_.pop_front();
        return item;
    }

private:
    std::deque<T> taken_; // the owner's
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<T> finished_;
};

} // namespace peers
