// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/timer_queue.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <optional>
#include <utility>

namespace joinery::detail {

/// The timers of a loop: while it turns it looks at the clock itself; for its sleep there is one Asio timer.
/**
 * Used by the loop's thread only. From the start of a node on the `io_context` has work, until the loop is about to
 * sleep and there is none left. Whenever the loop sleeps and there are nodes, the Asio timer waits for the earliest of
 * them, or for an earlier one that was stopped since.
 *
 * The Asio timer's own wait would not do as that work: when it is over, the `io_context` finds itself without work, and
 * has stopped before the loop asks for the next wait.
 */
class loop_timer {
public:
    /// Starts a node. @throws what making the Asio timer throws, the first time; then the node is not started.
    void start(timer_node& node, boost::asio::io_context& context)
    {
        if (!timer_)
            timer_.emplace(context);
        if (!work_)
            work_.emplace(context.get_executor());
        nodes_.insert(node);
    }

    /// Stops a node. False if its time has come.
    bool stop(timer_node& node) noexcept
    {
        return nodes_.erase(node);
    }

    /// Tells the nodes whose time has come, but no more than `most`, so that nobody has to wait for all of them.
    void expire(int most) noexcept
    {
        if (nodes_.empty())
            return;
        const timer_node::clock::time_point now = timer_node::clock::now();
        for (; most != 0; --most) {
            timer_node* const due = nodes_.pop_due(now);
            if (!due)
                return;
            due->expired();
        }
    }

    /// Sees to it that the `io_context` returns from its sleep in time. False if that cannot be had.
    bool arm() noexcept
    {
        try {
            if (nodes_.empty())
                disarm();
            else if (!is_armed_ || nodes_.earliest() < armed_for_)
                arm_for(nodes_.earliest());
            return true;
        } catch (...) {
            is_armed_ = false;
            return false;
        }
    }

    /// Tells the nodes that are left that the loop is at its end.
    void close() noexcept
    {
        while (!nodes_.empty())
            nodes_.pop().abandoned();
        work_.reset();
        timer_.reset();
    }

private:
    void arm_for(timer_node::clock::time_point deadline)
    {
        timer_->expires_at(deadline);
        timer_->async_wait([this](const boost::system::error_code& error) {
            if (!error)
                is_armed_ = false; // the loop turns now, and looks at the clock
        });
        armed_for_ = deadline;
        is_armed_ = true;
    }

    void disarm()
    {
        work_.reset();
        if (std::exchange(is_armed_, false))
            timer_->cancel();
    }

    timer_queue nodes_;
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
    std::optional<boost::asio::steady_timer> timer_; // made late, because it brings the reactor into being
    timer_node::clock::time_point armed_for_;
    bool is_armed_ = false;
};

} // namespace joinery::detail
