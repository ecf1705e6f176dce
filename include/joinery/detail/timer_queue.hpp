// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/intrusive/set.hpp>

#include <chrono>

namespace joinery::detail {

using timer_hook = boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>,
                                                   boost::intrusive::link_mode<boost::intrusive::safe_link>>;

/// A point in time that someone waits for: a part of what waits, such as the awaiter of a sleeping task.
/**
 * It is told once, either that its time has come or that it never will, unless it is stopped before; and by then it is
 * in no queue any more, so that it may be destroyed, or started again, within the call. Who stops it and comes too late
 * is told so: then the call is being made, or has been.
 */
class timer_node : public timer_hook {
public:
    using clock = std::chrono::steady_clock;

    timer_node(const timer_node&) = delete;
    timer_node& operator=(const timer_node&) = delete;

    clock::time_point deadline() const noexcept
    {
        return deadline_;
    }

    /// The deadline has passed. Called where the timers are, which need not be where the node's task runs.
    virtual void expired() noexcept = 0;

    /// The deadline will not come: the executor is gone, or could not be had to wait for it.
    virtual void abandoned() noexcept = 0;

protected:
    explicit timer_node(clock::time_point deadline) noexcept
        : deadline_(deadline)
    {
    }

    ~timer_node() = default;

private:
    clock::time_point deadline_;
};

/// Points in time, the earliest first; of equal ones, the one that came first. Owns nothing, and knows no clock.
/**
 * A balanced tree through links in the nodes: nothing is allocated, and each node can be taken out. What comes later
 * than all the others, as it does when many wait for equally long, is put behind the last without a search, and the
 * first is known: both then cost amortised constant time, and anything else the logarithm.
 *
 * Rejected: *a pairing heap*. It inserts in constant time in any order, but after a burst its first removal walks over
 * all that came, and each one scatters over memory. *A timing wheel*: constant time for everything, but it rounds each
 * deadline to a tick, and has to look at empty slots, or to search for the earliest deadline before a sleep.
 */
class timer_queue {
public:
    using time_point = timer_node::clock::time_point;

    bool empty() const noexcept
    {
        return nodes_.empty();
    }

    /// @pre `!empty()`
    time_point earliest() const noexcept
    {
        return nodes_.begin()->deadline();
    }

    /// @pre the node is in no queue
    void insert(timer_node& node) noexcept
    {
        nodes_.insert(nodes_.end(), node);
    }

    /// Takes a node out. Whether it was still in.
    bool erase(timer_node& node) noexcept
    {
        if (!node.is_linked())
            return false;
        nodes_.erase(nodes_.iterator_to(node));
        return true;
    }

    /// Takes out the earliest node if its time has come; else null.
    timer_node* pop_due(time_point now) noexcept
    {
        return !empty() && earliest() <= now ? &pop() : nullptr;
    }

    /// Takes out the earliest node. @pre `!empty()`
    timer_node& pop() noexcept
    {
        timer_node& node = *nodes_.begin();
        nodes_.erase(nodes_.begin());
        return node;
    }

private:
    struct earlier {
        bool operator()(const timer_node& a, const timer_node& b) const noexcept
        {
            return a.deadline() < b.deadline();
        }
    };

    boost::intrusive::multiset<timer_node, boost::intrusive::base_hook<timer_hook>, boost::intrusive::compare<earlier>,
                               boost::intrusive::constant_time_size<false>>
        nodes_;
};

} // namespace joinery::detail
