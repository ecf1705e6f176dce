// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/await_operation.hpp>
#include <joinery/detail/child_task.hpp>
#include <joinery/detail/join_group.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/join_waiter.hpp>
#include <joinery/detail/scope_body.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/step.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/bad_executor.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// Stands for the executor that a scope was not given: the one on which its parent runs.
struct parents_executor {};

/// What a scope is made of.
template<class Set, class Where, class Body>
struct scope_parts {
    using set_type = Set;
    using value_type = scope_value<Set, Body>;

    Where where;
    Body body;
};

/// Takes the parts out of a deferred operation.
template<class Parts>
struct scope_probe {
    std::optional<Parts>& found;

    void operator()(auto&&...) const noexcept
    {
    }
};

template<class Parts>
class scope_awaiter;

/// A scope as a task awaits it.
template<class Parts>
struct scope_work {
    using awaiter_brought = scope_awaiter<Parts>;

    Parts parts;
};

/// Runs a body with a set or map, and waits until the body and every task in the set have ended, whatever happens.
/**
 *     body runs ──▶ it has ended ──▶ draining: each task that ends is thrown away ──▶ none is left: over
 *
 * The body is a task of its own, so that an abort of the parent can end it, and yet leave the parent's frame alone
 * until all tasks have ended. From the body's end on, nobody else is the owner of the set; who drains it is whichever
 * thread ends a task. There is one at a time: the waiter of `join_kind::drained` is either in the list, or `woken` and
 * somebody's.
 *
 * Nothing here waits for the parent's executor, because its end would then end the parent before the tasks, while they
 * refer to the parent's locals. Only when all is over, the parent is continued, or ended, where it runs.
 *
 * `phase_` tells an abort and the end of the body of each other: whichever comes second aborts the tasks.
 *
 * Rejected: *a coroutine that joins in a loop*, spawned when the body has ended: the end of the executor would destroy
 * it before the tasks for which it waits. *A counter of tasks beside the set*, as nurseries have: there would be a
 * second account of what the set knows already, and a cost for each task.
 */
template<class Parts>
class scope_awaiter final : private cancellable_suspension,
                            private join_waiter,
                            private child_task<typename Parts::value_type> {
    using set_type = typename Parts::set_type;
    using value_type = typename Parts::value_type;
    using body = child_task<value_type>;
    using table_type = std::remove_reference_t<decltype(join_group_access::table(std::declval<set_type&>()))>;

public:
    /// @param operation  a deferred one
    template<class Operation>
    explicit scope_awaiter(Operation&& operation)
        : join_waiter(join_kind::drained)
    {
        if constexpr (std::is_same_v<Operation, scope_work<Parts>>)
            parts_.emplace(std::move(operation.parts));
        else
            std::move(operation)(scope_probe<Parts>{parts_});
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        parent_ = &waiter.promise().root();
        cancellable_suspension::prepare(*parent_, waiter, wait_kind::scope);
    }

    value_type await_resume()
    {
        if (failure_)
            std::rethrow_exception(std::move(failure_));
        return std::move(this->take()).value();
    }

private:
    static constexpr unsigned cancelled = 1;
    static constexpr unsigned draining = 2;

    void initiate(task_node& parent) noexcept override
    {
        home& there = parent.where().for_children();
        try {
            make_set(there);
            table_ = shared_reference<table_type>(join_group_access::table(*set_));
            table_->set_scoped();
            body::spawn(there, task_of_body<value_type>(parts_->body, *set_), &parent);
        } catch (...) {
            failure_ = std::current_exception();
            if (table_)
                return drain(true); // what was thrown may be no more than that there is no memory for the body's value
            parent.step_.ended = true;
            return;
        }
        body::begin();
    }

    void make_set(home& there)
    {
        if constexpr (std::is_same_v<decltype(Parts::where), parents_executor>) {
            using executor_type = typename set_type::executor_type;
            const boost::asio::any_io_executor executor = there.executor();
            if constexpr (std::is_convertible_v<const boost::asio::any_io_executor&, executor_type>) {
                if (!executor)
                    throw boost::asio::execution::bad_executor(); // its context is gone
                set_.emplace(executor);
            } else {
                const executor_type* const exact = executor.template target<executor_type>();
                if (!exact)
                    throw boost::asio::execution::bad_executor();
                set_.emplace(*exact);
            }
        } else {
            set_.emplace(std::move(parts_->where));
        }
    }

    void request_end(task_node& parent) noexcept override
    {
        parent.step_.foreign = false; // as work it is as obedient as a task
        const unsigned before = phase_.fetch_or(cancelled, std::memory_order_acq_rel);
        body::abort(parent.reason());
        if (before & draining)
            table_->abort_all(cancel_reason::aborted);
    }

    void child_ended() noexcept override
    {
        drain(body::how() != outcome::value);
    }

    void drain(bool has_failed) noexcept
    {
        {
            const join_state::section locked(*table_, true);
            table_->add_on_its_way(*this); // from now on, whoever calls the set locks
        }
        const unsigned before = phase_.fetch_or(draining, std::memory_order_acq_rel);
        if (has_failed || (before & cancelled))
            table_->abort_all(cancel_reason::aborted);
        proceed();
    }

    void post() noexcept override
    {
        table_->proceed_after(*this);
    }

    /// Throws away what has ended, until there is nothing, or nothing more to wait for.
    void proceed() noexcept override
    {
        const shared_reference<table_type> keep(table_);
        do {
            // What is thrown away is destroyed when this is over, and before anyone is told.
            const join_state::section locked(*keep, true);
            note_failure(keep->discard_ended());
        } while (!is_over_or_waits(*keep));
    }

    void note_failure(std::exception_ptr failure) noexcept
    {
        if (failure_ || !failure || body::how() != outcome::value)
            return;
        failure_ = std::move(failure);
        table_->abort_all(cancel_reason::aborted);
    }

    /// If so, this may be gone when it returns.
    bool is_over_or_waits(table_type& table) noexcept
    {
        {
            const join_state::section locked(table, true);
            if (!table.is_closed() && !table.is_drained())
                return table.wait_for_more(*this);
            table.finish(*this);
        }
        operation_over(*parent_);
        return true;
    }

    std::optional<Parts> parts_;
    std::optional<set_type> set_;
    shared_reference<table_type> table_;
    task_node* parent_ = nullptr;
    std::exception_ptr failure_; // of the first task that failed
    std::atomic<unsigned> phase_{0};
};

} // namespace joinery::detail
