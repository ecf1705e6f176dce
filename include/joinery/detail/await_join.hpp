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
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// Waits for a join in the list of the set or map.
/**
 * When it is woken, its task is scheduled, and takes the result when its turn comes: so an abort on the way loses none.
 * On a home that cannot keep it until then (see `home::takes_parked`), it is an operation like any other.
 */
template<class Operation, class Signature>
class parked_join final : public operation_awaiter<initiate_join<Operation>, Signature>, private join_waiter {
    using base = operation_awaiter<initiate_join<Operation>, Signature>;
    using state_type = typename Operation::state_type;

public:
    /// @param yields_first  whether the other tasks get their turn in any case
    parked_join(state_type& state, bool yields_first)
        : base(initiate_join<Operation>(shared_reference<state_type>(state)))
        , join_waiter(Operation::kind)
        , state_(state)
        , yields_first_(yields_first)
    {
    }

    ~parked_join()
    {
        if (this->starts_anew && this->is_parked())
            leave();
    }

    template<class Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter)
    {
        base::await_suspend(waiter);
        this->starts_anew = this->task_->where().takes_parked();
        this->task_->waits_for_ = wait_kind::join;
    }

private:
    void take()
    {
        if constexpr (std::is_void_v<typename Operation::value_type>)
            this->results_.emplace(boost::system::error_code());
        else
            this->results_.emplace(boost::system::error_code(), Operation::take(state_));
    }

    void initiate(task_node& task) noexcept override
    {
        if (!this->starts_anew)
            return base::initiate(task);
        if (!this->is_parked()) {
            enter(task);
            if constexpr (begins<Operation>)
                Operation::begin(state_);
        }
        if (std::exchange(yields_first_, false)) {
            {
                // Or a shutdown, which lets joins have what there is first, would not see it.
                const join_state::section locked(state_, true);
                state_.add_on_its_way(*this);
            }
            task.where().end_turn();
            return task.where().schedule_parked(task);
        }
        try {
            const join_state::section locked(state_, true);
            if (state_.is_closed()) {
                this->results_.emplace();
                std::get<0>(*this->results_) = boost::asio::error::operation_aborted;
            } else if (where == phase::woken) {
                if (!state_.is_due(kind))
                    return wait_again();
                take();
            } else if (state_.is_due_at_once(kind)) {
                take();
            } else {
                return state_.add(*this);
            }
            state_.settle();
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
        state_.wait_again(*this);
        state_.settle();
    }

    void request_end(task_node& task) noexcept override
    {
        if (!this->starts_anew)
            return base::request_end(task);
        const join_state::section locked(state_, true);
        if (state_.withdraw(*this))
            task.step_.ended = true; // else it is scheduled
    }

    bool looks_again() const noexcept override
    {
        return this->task_->where().inside();
    }

    void post() override
    {
        this->task_->where().schedule_parked(*this->task_);
    }

    void home_gone() noexcept override
    {
        if (!this->starts_anew)
            return base::home_gone();
        withdraw();
        this->task_->end_executor_gone();
    }

    void enter(task_node& task) noexcept
    {
        this->park(task.where());
        task.where().operation_began();
    }

    void leave() noexcept
    {
        if (where != phase::over) // nobody else has it any more: it was woken, withdrawn, or never waited
            withdraw();
        this->unpark();
        this->task_->where().operation_ended();
    }

    /// Any moment: another thread may be about to wake it.
    void withdraw() noexcept
    {
        const join_state::section locked(state_, true);
        if (where == phase::over)
            return;
        if (!state_.withdraw(*this))
            state_.finish(*this);
        state_.settle();
    }

    state_type& state_; // kept by `operation_`, as long as the join is parked
    bool yields_first_;
};

/// Awaits a join in a task, without the machinery of an asynchronous operation where it can do without.
/** A result that is there is taken without suspending the coroutine, but every so often the other tasks come first. */
template<class Operation, class Signature>
class join_awaiter {
    using state_type = typename Operation::state_type;

public:
    template<class Deferred>
    explicit join_awaiter(Deferred&& operation)
    {
        std::forward<Deferred>(operation)(join_probe<state_type>{state_});
    }

    bool await_ready() const noexcept
    {
        return false;
    }

    template<class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiter)
    {
        bool yields_first = false;
        if constexpr (!begins<Operation>) {
            if (!waiter.promise().root().must_end() && is_due(yields_first))
                return false;
        }
        wait_.emplace(*state_, yields_first).await_suspend(waiter);
        return true;
    }

    typename Operation::value_type await_resume()
    {
        if (wait_)
            return wait_->await_resume();
        const join_state::settling_section owner(*state_);
        return Operation::take(*state_);
    }

private:
    /// Whether the result is there. It stays so, because nobody else may take it.
    bool is_due(bool& yields_first)
    {
        const join_state::section owner(*state_);
        if (state_->is_closed() || !state_->is_due_at_once(Operation::kind))
            return false;
        yields_first = !state_->count_join_at_once();
        return !yields_first;
    }

    state_type* state_ = nullptr;
    std::optional<parked_join<Operation, Signature>> wait_;
};

template<class Operation, class Reference, class Signature>
struct awaiter_of_operation<boost::asio::deferred_async_operation<Signature, initiate_join<Operation, Reference>>,
                            Signature> {
    using type = join_awaiter<Operation, Signature>;
};

} // namespace joinery::detail
