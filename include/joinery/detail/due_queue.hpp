// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_strand.hpp>

#include <boost/intrusive/slist.hpp>

#include <utility>

namespace joinery::detail {

/// What is to come to a turn of a `concurrent_home`: tasks, and strands of tasks. Owns nothing.
/** Takes one of the tasks, one of the strands, and so on: so neither keep the others waiting. */
class due_queue {
public:
    /// One of the two.
    struct item {
        task_node* task = nullptr;
        task_strand* strand = nullptr;
    };

    due_queue() noexcept = default;

    due_queue(due_queue&& other) noexcept
        : tasks_(std::move(other.tasks_))
    {
        strands_.swap(other.strands_);
    }

    due_queue& operator=(due_queue&&) = delete;

    bool empty() const noexcept
    {
        return tasks_.empty() && strands_.empty();
    }

    void push_back(task_node& task) noexcept
    {
        tasks_.push_back(task);
    }

    void push_back(task_strand& strand) noexcept
    {
        strands_.push_back(strand);
    }

    /// @pre `!empty()`
    item pop_front() noexcept
    {
        strand_first_ = !strand_first_;
        if (strands_.empty() || (!strand_first_ && !tasks_.empty()))
            return {&tasks_.pop_front(), nullptr};
        task_strand& strand = strands_.front();
        strands_.pop_front();
        return {nullptr, &strand};
    }

private:
    task_list tasks_;
    boost::intrusive::slist<task_strand, boost::intrusive::cache_last<true>,
                            boost::intrusive::constant_time_size<false>>
        strands_;
    bool strand_first_ = false;
};

} // namespace joinery::detail
