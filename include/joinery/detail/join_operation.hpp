// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/awaiting_task.hpp>
#include <joinery/detail/context_registry.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/result_room.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/bad_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// Asks a join to end without a result.
template<class Join>
class join_cancellation {
public:
    join_cancellation(shared_reference<join_state> state, shared_reference<Join> waiter) noexcept
        : state_(std::move(state))
        , waiter_(std::move(waiter))
    {
    }

    void operator()(boost::asio::cancellation_type type)
    {
        using boost::asio::cancellation_type;
        constexpr auto any = cancellation_type::terminal | cancellation_type::partial | cancellation_type::total;
        if ((type & any) == cancellation_type::none)
            return;
        const join_state::section locked(*state_, true);
        state_->cancel(*waiter_);
    }

private:
    shared_reference<join_state> state_;
    shared_reference<Join> waiter_;
};

/// An asynchronous join and its handler.
/**
 * It takes its result only at the last moment, on the executor of its handler, with the handler at hand: so a join
 * that is cancelled on its way leaves its result in the set.
 *
 * `Operation` says what is waited for (`kind`), and takes it (`take(state)`, a `value_type`), which is called in a section.
 * One that is `special` also begins (`begin(state, waiter)`), knows when it is due (`is_due(state)`), comes to an end with or
 * without a result (`end(state)`), and may have an `error`; all of that in a locked section.
 */
template<class Operation, class Handler>
class join_operation final : public context_member, public join_waiter {
    using state_type = typename Operation::state_type;
    using value_type = stored_value<typename Operation::value_type>;
    using executor_type = boost::asio::associated_executor_t<Handler, boost::asio::any_io_executor>;
    using allocator_type = typename std::allocator_traits<
        boost::asio::associated_allocator_t<Handler>>::template rebind_alloc<join_operation>;

    static constexpr bool has_value = !std::is_void_v<typename Operation::value_type>;
    static constexpr bool is_special = Operation::kind == join_kind::special;

public:
    /// Starts a join. The owner. @throws what allocating and posting throws
    static void start(shared_reference<state_type> state, Operation operation, Handler&& handler)
    {
        allocator_type allocator(boost::asio::get_associated_allocator(handler));
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        const auto self = make(allocator, state, std::move(operation), std::move(handler));
        self->join_context(*self->executor_);
        const join_state::section locked(*state, true);
        if constexpr (is_special)
            self->operation_.begin(*state, *self);
        if (slot.is_connected())
            slot.template emplace<join_cancellation<join_operation>>(state, self);
        self->cancelled = state->is_closed();
        self->retain(); // the list's
        state->add(*self);
    }

private:
    /// On its way to the handler's executor. If that destroys it instead, the join is over without a word.
    class completion {
    public:
        explicit completion(join_operation& operation) noexcept
            : operation_(shared_reference<join_operation>::adopt(&operation))
        {
        }

        completion(completion&&) noexcept = default;
        completion& operator=(completion&&) = delete;

        ~completion()
        {
            if (operation_)
                operation_->abandon();
        }

        void operator()()
        {
            join_operation::complete(std::move(operation_));
        }

    private:
        shared_reference<join_operation> operation_;
    };

    join_operation(shared_reference<state_type> state, Operation&& operation, Handler&& handler)
        : join_waiter(Operation::kind)
        , operation_(std::move(operation))
        , state_(std::move(state))
        , allocator_(boost::asio::get_associated_allocator(handler))
        , executor_(usable(boost::asio::get_associated_executor(handler, state_->executor())))
        , work_(*executor_)
        , handler_(std::move(handler))
    {
    }

    /// An executor that was forgotten with its context is empty, and Asio does not look.
    static executor_type usable(executor_type executor)
    {
        if constexpr (std::is_same_v<executor_type, boost::asio::any_io_executor>) {
            if (!executor)
                throw boost::asio::execution::bad_executor();
        }
        return executor;
    }

    static shared_reference<join_operation> make(allocator_type& allocator, const shared_reference<state_type>& state,
                                                 Operation&& operation, Handler&& handler)
    {
        using traits = std::allocator_traits<allocator_type>;
        join_operation* const memory = traits::allocate(allocator, 1);
        try {
            return shared_reference<join_operation>::adopt(
                ::new (static_cast<void*>(memory)) join_operation(state, std::move(operation), std::move(handler)));
        } catch (...) {
            traits::deallocate(allocator, memory, 1);
            throw;
        }
    }

    void destroy() noexcept override
    {
        allocator_type allocator(allocator_);
        std::destroy_at(this);
        std::allocator_traits<allocator_type>::deallocate(allocator, this, 1);
    }

    bool is_special_due() override
    {
        if constexpr (is_special)
            return operation_.is_due(*state_);
        else
            return true;
    }

    void special_over() noexcept override
    {
        if constexpr (is_special)
            operation_.end(*state_);
    }

    void post() override
    {
        boost::asio::post(*executor_, completion(*this));
    }

    /// Takes the result, and calls the handler with it, when nothing else of the operation is left.
    static void complete(shared_reference<join_operation> self)
    {
        boost::system::error_code error = boost::asio::error::operation_aborted;
        std::optional<value_type> value;
        {
            state_type& state = *self->state_;
            const join_state::section locked(state, true);
            self->cancelled |= state.is_closed();
            if (!self->cancelled && !state.is_due(*self)) {
                state.wait_again(*self.release()); // its reference is the list's again
                state.settle();
                return;
            }
            if (!self->cancelled && awaiting_task_of(*self->handler_).grant()) {
                error.clear();
                self->take(state, value);
                if constexpr (is_special)
                    error = self->operation_.error;
            }
            state.finish(*self);
            state.settle();
        }
        if (!value)
            value.emplace();
        // A task's slot dies with its awaiter, and may at this moment be used by an abort at the task's home.
        if (!awaiting_task_of(*self->handler_).task)
            boost::asio::get_associated_cancellation_slot(*self->handler_).clear();
        Handler handler(std::move(*self->handler_));
        self = {};
        if constexpr (has_value)
            std::move(handler)(error, *std::move(value));
        else
            std::move(handler)(error);
    }

    /// Takes the result, into an empty place. @throws what moving a key throws; then the join is over
    void take(state_type& state, std::optional<value_type>& value)
    {
        try {
            if constexpr (has_value)
                value.emplace(operation_.take(state));
            else
                operation_.take(state);
        } catch (...) {
            state.finish(*this);
            state.settle();
            throw;
        }
    }

    void abandon() noexcept
    {
        {
            const join_state::section locked(*state_, true);
            state_->finish(*this);
            state_->settle();
        }
        forget();
    }

    /// Destroys what belongs to the handler's context. A slot that stays connected may keep the rest beyond its end.
    void forget() noexcept
    {
        handler_.reset();
        work_.reset();
        executor_.reset();
    }

    void context_gone() noexcept override
    {
        {
            const join_state::section locked(*state_, true);
            if (!state_->withdraw(*this))
                return;
        }
        forget();
        release();
    }

    [[no_unique_address]] Operation operation_;
    shared_reference<state_type> state_;
    [[no_unique_address]] allocator_type allocator_;
    std::optional<executor_type> executor_;
    std::optional<boost::asio::executor_work_guard<executor_type>> work_;
    std::optional<Handler> handler_;
};

/// Refers to something that someone else keeps.
template<class T>
class borrowed_reference {
public:
    explicit borrowed_reference(T& target) noexcept
        : target_(&target)
    {
    }

    T& operator*() const noexcept
    {
        return *target_;
    }

private:
    T* target_;
};

/// Stands for a handler, to get at what a deferred operation holds.
template<class State>
struct join_probe {
    State*& found;

    void operator()(auto&&...) const noexcept
    {
    }
};

/// Whether a join does something before it waits.
template<class Operation>
concept begins = requires(typename Operation::state_type& state) { Operation::begin(state); };

/// Starts a join for whatever token was given. `Reference` says what it knows its state by.
template<class Operation, class Reference = shared_reference<typename Operation::state_type>>
class initiate_join {
    using state_type = typename Operation::state_type;

public:
    using executor_type = boost::asio::any_io_executor;

    explicit initiate_join(Reference state) noexcept
        : state_(std::move(state))
    {
    }

    executor_type get_executor() const noexcept
    {
        return (*state_).executor();
    }

    void operator()(join_probe<state_type> probe) const noexcept
    {
        probe.found = &*state_;
    }

    template<class Handler>
    void operator()(Handler&& handler) const
    {
        std::decay_t<Handler> owned(std::forward<Handler>(handler));
        const shared_reference<state_type> keep(*state_);
        if constexpr (begins<Operation>)
            Operation::begin(*state_);
        join_operation<Operation, std::decay_t<Handler>>::start(keep, Operation(), std::move(owned));
    }

private:
    Reference state_;
};

/// The same for an operation that knows more than its state. It is launched once.
/** Shared, because Asio wants to be able to copy what is deferred, and the work that an operation has cannot be. */
template<class Operation>
class initiate_special_join {
    using state_type = typename Operation::state_type;

public:
    using executor_type = boost::asio::any_io_executor;

    initiate_special_join(shared_reference<state_type> state, Operation&& operation)
        : state_(std::move(state))
        , operation_(std::make_shared<Operation>(std::move(operation)))
    {
    }

    // Clang asks whether what is deferred could be copied, though nobody does so: see Asio's `deferred_async_operation`.
    initiate_special_join(const initiate_special_join&); // not defined
    initiate_special_join(const initiate_special_join&)
        requires std::copy_constructible<Operation>
    = default;

    initiate_special_join(initiate_special_join&&) = default;
    initiate_special_join& operator=(initiate_special_join&&) = default;
    ~initiate_special_join() = default;

    executor_type get_executor() const noexcept
    {
        return state_->executor();
    }

    template<class Handler>
    void operator()(Handler&& handler) const
    {
        std::decay_t<Handler> owned(std::forward<Handler>(handler));
        join_operation<Operation, std::decay_t<Handler>>::start(state_, std::move(*operation_), std::move(owned));
    }

private:
    shared_reference<state_type> state_;
    std::shared_ptr<Operation> operation_;
};

} // namespace joinery::detail
