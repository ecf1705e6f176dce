// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/asio_home.hpp>
#include <joinery/detail/context_registry.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <utility>

namespace joinery::detail {

class task_strand;

/// What a `task_strand` asks of the home of its task.
class strand_owner : public asio_home {
public:
    /// Brings something to a strand with which nobody was busy, and sees to a turn for it. False if the home has ended.
    virtual bool bring(task_strand& strand, unsigned what) noexcept = 0;

    /// Sees to a turn for a strand with which the caller is busy.
    virtual void make_due(task_strand& strand) noexcept = 0;

    /// Whether the caller is on a thread of the executor. False when that is not known.
    virtual bool runs_here() const noexcept = 0;

    /// Takes note that a strand, which is being destroyed, need not be found any more.
    virtual void unlist(task_strand& strand) noexcept = 0;

    boost::asio::execution_context& context() const noexcept
    {
        return context_;
    }

protected:
    explicit strand_owner(boost::asio::any_io_executor executor)
        : asio_home(std::move(executor))
        , context_(context_of(executor_))
    {
    }

private:
    boost::asio::execution_context& context_;
};

} // namespace joinery::detail
