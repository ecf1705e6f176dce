// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/await.hpp>
#include <joinery/detail/await_operation.hpp>
#include <joinery/detail/join_operation.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/join_waiter.hpp>
#include <joinery/detail/step.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// Waits for a join in the list of the set or map.
/**
 * When it is woken, its task is scheduled, and takes the result when its turn comes: so an abort on the way loses none.
 * On a home that cannot keep it until then (see `home::takes_parked`), it is an operation like any other.
 */
template<class Operation, class Signature>
class parked_join final : public operation_awaiter<initiate_join<Operation>, Signature>,
                          private join_waiter,
                          private parked_link {
    using base = operation_awaiter<initiate_join<Operation>, Signature>;
    using state_type = typename Operation::state_type;

public:
    /// @param yields_first  whether the other tasks get their turn in any case
    parked_join(initiate_join<Operation>&& operation, bool yields_first)
        : base(std::move(operation))
        , join_waiter(Operation::kind)
        , yields_first_(yields_first)
    {
    }

    ~parked_join()
    {
        if (is_parked())
            leave();
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        base::await_suspend(waiter);
        this->starts_anew = this->task_->where().takes_parked();
    }

private:
    state_type& state() noexcept
    {
        return this->operation_->state();
    }

    void take()
    {
        this->results_.emplace(std::tuple_cat(std::tuple(boost::system::error_code()), Operation::take(state())));
    }

    void initiate(task_node& task) noexcept override
    {
        if (!this->starts_anew)
            return base::initiate(task);
        if (!is_parked())
            enter(task);
        if (std::exchange(yields_first_, false)) {
            task.where().end_turn();
            return task.where().schedule_parked(task);
        }
        try {
            const join_state::section locked(state(), true);
            if (state().is_closed()) {
                this->results_.emplace();
                std::get<0>(*this->results_) = boost::asio::error::operation_aborted;
            } else if (where == phase::woken) {
                if (!state().is_due(kind))
                    return wait_again();
                take();
            } else if (state().is_due_at_once(kind)) {
                take();
            } else {
                return state().add(*this);
            }
            state().settle();
        } catch (...) {
            this->failure_ = std::current_exception();
        }
        leave();
        this->starts_anew = false;
        this->granted = true;
        task.step_.ended = true;
    }

    void wait_again()
    {
        state().wait_again(*this);
        state().settle();
    }

    void request_end(task_node& task) noexcept override
    {
        if (!this->starts_anew)
            return base::request_end(task);
        const join_state::section locked(state(), true);
        if (state().withdraw(*this))
            task.step_.ended = true; // else it is scheduled
    }

    void post() override
    {
        this->task_->where().schedule_parked(*this->task_);
    }

    void home_gone() noexcept override
    {
        withdraw();
        this->task_->end_executor_gone();
    }

    void enter(task_node& task) noexcept
    {
        park(task.where());
        task.where().operation_began();
    }

    void leave() noexcept
    {
        withdraw();
        unpark();
        this->task_->where().operation_ended();
    }

    void withdraw() noexcept
    {
        if (where == phase::over)
            return;
        const join_state::section locked(state(), true);
        if (!state().withdraw(*this))
            state().finish(*this);
        try {
            state().settle();
        } catch (...) {
            // The executor of another join refused it, whose handler is destroyed by now.
        }
    }

    bool yields_first_;
};

/// Constructs what a function returns in its place, without a move.
template<class F>
struct constructed_by {
    F function;

    operator std::invoke_result_t<F&>()
    {
        return function();
    }
};

template<class F>
constructed_by(F) -> constructed_by<F>;

/// Awaits a join in a task, without the machinery of an asynchronous operation where it can do without.
/** A result that is there is taken without suspending the coroutine, but every so often the other tasks come first. */
template<class Operation, class Signature>
class join_awaiter {
    using result_type = typename Operation::result_type;

public:
    template<class Deferred>
    explicit join_awaiter(Deferred&& operation)
    {
        std::forward<Deferred>(operation)(join_probe<Operation>{&operation_});
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiter)
    {
        bool yields_first = false;
        if (!waiter.promise().root().abort_requested() && take_at_once(yields_first))
            return false;
        wait_.emplace(std::move(*operation_), yields_first).await_suspend(waiter);
        return true;
    }

    auto await_resume() -> decltype(unpack(std::declval<result_type>()))
    {
        if (!result_)
            return wait_->await_resume();
        return unpack(std::move(*result_));
    }

private:
    bool take_at_once(bool& yields_first)
    {
        typename Operation::state_type& state = operation_->state();
        const join_state::section owner(state);
        if (state.is_closed() || !state.is_due_at_once(Operation::kind))
            return false;
        yields_first = !state.count_join_at_once();
        if (yields_first)
            return false;
        result_.emplace(constructed_by{[&state] { return Operation::take(state); }});
        state.settle();
        return true;
    }

    std::optional<initiate_join<Operation>> operation_;
    std::optional<result_type> result_;
    std::optional<parked_join<Operation, Signature>> wait_;
};

template<class Operation, class Signature>
struct awaiter_of_operation<boost::asio::deferred_async_operation<Signature, initiate_join<Operation>>, Signature> {
    using type = join_awaiter<Operation, Signature>;
};

} // namespace joinery::detail
