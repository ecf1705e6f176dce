// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/task_strand.hpp>
#include <joinery/serial_executor.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution_context.hpp>

#include <utility>

namespace joinery::detail {

/// The executor of a `task_strand`. A copy may outlive the execution context; it throws away what it is given then.
/**
 * @tparam Dispatches  whether a function may be called within `execute`
 * @tparam Counts      whether a copy counts as outstanding work of the executor below
 */
template<bool Dispatches, bool Counts>
class task_strand_executor {
public:
    explicit task_strand_executor(task_strand& strand) noexcept
        : strand_(strand)
    {
        if constexpr (Counts)
            strand.owner().work_began();
    }

    task_strand_executor(const task_strand_executor& other) noexcept
        : task_strand_executor(*other.strand_)
    {
    }

    task_strand_executor(task_strand_executor&& other) noexcept = default;

    task_strand_executor& operator=(task_strand_executor other) noexcept
    {
        std::swap(strand_, other.strand_);
        return *this;
    }

    ~task_strand_executor()
    {
        if constexpr (Counts) {
            if (strand_)
                strand_->owner().work_ended();
        }
    }

    template<class F>
    void execute(F&& function) const
    {
        strand_->execute<Dispatches>(std::forward<F>(function));
    }

    task_strand& strand() const noexcept
    {
        return *strand_;
    }

    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept
    {
        return strand_->owner().context();
    }

    static constexpr boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) noexcept
    {
        if constexpr (Dispatches)
            return boost::asio::execution::blocking.possibly;
        else
            return boost::asio::execution::blocking.never;
    }

    static constexpr boost::asio::execution::outstanding_work_t
    query(boost::asio::execution::outstanding_work_t) noexcept
    {
        if constexpr (Counts)
            return boost::asio::execution::outstanding_work.tracked;
        else
            return boost::asio::execution::outstanding_work.untracked;
    }

    auto require(boost::asio::execution::blocking_t::possibly_t) const noexcept
    {
        return task_strand_executor<true, Counts>(*strand_);
    }

    auto require(boost::asio::execution::blocking_t::never_t) const noexcept
    {
        return task_strand_executor<false, Counts>(*strand_);
    }

    auto require(boost::asio::execution::outstanding_work_t::tracked_t) const noexcept
    {
        return task_strand_executor<Dispatches, true>(*strand_);
    }

    auto require(boost::asio::execution::outstanding_work_t::untracked_t) const noexcept
    {
        return task_strand_executor<Dispatches, false>(*strand_);
    }

    bool running_in_this_thread() const noexcept
    {
        return strand_->inside();
    }

    friend bool operator==(const task_strand_executor& a, const task_strand_executor& b) noexcept
    {
        return a.strand_.get() == b.strand_.get();
    }

private:
    shared_reference<task_strand> strand_;
};

inline boost::asio::any_io_executor task_strand::executor()
{
    return task_strand_executor<true, false>(*this);
}

} // namespace joinery::detail

template<bool Dispatches, bool Counts>
inline constexpr bool joinery::enable_serial_executor<joinery::detail::task_strand_executor<Dispatches, Counts>> = true;
