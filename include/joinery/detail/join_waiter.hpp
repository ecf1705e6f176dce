// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/intrusive/list.hpp>

#include <cstdint>

namespace joinery::detail {

/// What a join waits for.
enum class join_kind : std::uint8_t {
    next,    // a finished task, or that there is none any more
    all,     // that all tasks have finished
    shutdown // that all tasks that were replaced or shut down have ended
};

/// An asynchronous join: waits in the list of its state, then is on its way to its handler.
class join_waiter : public boost::intrusive::list_base_hook<> {
public:
    enum class phase : std::uint8_t { waiting, woken, over };

    const join_kind kind;
    phase where = phase::over; // under the state's lock
    bool cancelled = false;    // under the state's lock

    join_waiter(const join_waiter&) = delete;
    join_waiter& operator=(const join_waiter&) = delete;

    /// Sends the join, which is in the list no more, to where it completes. Under the state's lock. @throws what that throws
    virtual void post() = 0;

protected:
    explicit join_waiter(join_kind what) noexcept
        : kind(what)
    {
    }

    ~join_waiter() = default;
};

} // namespace joinery::detail
