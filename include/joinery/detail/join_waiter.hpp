// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/intrusive/list.hpp>

#include <cstddef>
#include <cstdint>

namespace joinery::detail {

/// What a join waits for.
enum class join_kind : std::uint8_t {
    next,         // a finished task, or that there is none any more
    until_closed, // a finished task, or that there is none and will be none any more
    all,          // that all tasks have finished
    shutdown,     // that all tasks that were replaced or shut down have ended
    drained,      // what comes to a scope that is being left: each task that ends, until there is none any more
    special       // what the join itself knows
};

/// An asynchronous join: waits in the list of its state, then is on its way to its handler.
class join_waiter : public boost::intrusive::list_base_hook<> {
public:
    enum class phase : std::uint8_t { waiting, woken, over };

    const join_kind kind;
    phase where = phase::over;                           // under the state's lock
    bool cancelled = false;                              // under the state's lock
    boost::intrusive::list<join_waiter>* list = nullptr; // where a special join waits
    std::size_t* woken = nullptr; // counts those of its kind that were woken and are not over, if that is of interest

    join_waiter(const join_waiter&) = delete;
    join_waiter& operator=(const join_waiter&) = delete;

    /// Whether a special join has what it waits for. In a locked section.
    virtual bool is_special_due()
    {
        return true;
    }

    /// A special join is over, with or without a result. In a locked section.
    virtual void special_over() noexcept
    {
    }

    /// Whether it may be woken too early at little cost: it looks again when its turn comes, behind the tasks that are
    /// about to take a step on this thread. Under the state's lock.
    virtual bool looks_again() const noexcept
    {
        return false;
    }

    /// Sends the join, which is in the list no more, to where it completes. Under the state's lock. @throws what that throws
    virtual void post() = 0;

    /// Goes on where a task has ended, if `post` has asked for that. When nothing is locked, and perhaps for the last
    /// time.
    virtual void proceed() noexcept
    {
    }

protected:
    explicit join_waiter(join_kind what) noexcept
        : kind(what)
    {
    }

    ~join_waiter() = default;
};

} // namespace joinery::detail
