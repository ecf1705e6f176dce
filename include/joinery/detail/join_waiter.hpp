// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/context_registry.hpp>

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
class join_waiter : public context_member, public boost::intrusive::list_base_hook<> {
public:
    enum class phase : std::uint8_t { waiting, woken, over };

    const join_kind kind;
    phase where = phase::waiting; // under the state's lock
    bool cancelled = false;       // under the state's lock

    /// Sends the operation to the executor of its handler, with the list's reference. @throws what that throws
    virtual void post() = 0;

protected:
    explicit join_waiter(join_kind what) noexcept
        : kind(what)
    {
    }

    ~join_waiter() override = default;
};

} // namespace joinery::detail
