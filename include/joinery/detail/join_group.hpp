// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/abort_handle.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/detail/await_join.hpp>
#include <joinery/detail/blocking_home.hpp>
#include <joinery/detail/default_blocking_pool.hpp>
#include <joinery/detail/home_of.hpp>
#include <joinery/detail/join_operation.hpp>
#include <joinery/detail/join_table.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/local_set.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/bad_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/assert.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace joinery::detail {

template<class T>
concept has_executor = requires(T& context) { context.get_executor(); };

/// What a user means by "where": an executor, or something that has one.
template<class T>
decltype(auto) executor_of(T&& where)
{
    if constexpr (has_executor<std::remove_reference_t<T>>)
        return where.get_executor();
    else
        return std::forward<T>(where);
}

template<class T, class Executor>
concept executor_source = requires(T&& where) { Executor(executor_of(std::forward<T>(where))); };

template<class Table>
struct join_next_operation {
    using state_type = Table;
    using value_type = std::optional<typename Table::joined>;
    static constexpr join_kind kind = join_kind::next;

    static value_type take(Table& table)
    {
        return table.take_next();
    }
};

template<class Table>
struct join_all_operation {
    using state_type = Table;
    using value_type = std::vector<typename Table::joined>;
    static constexpr join_kind kind = join_kind::all;

    static value_type take(Table& table)
    {
        return table.take_all();
    }
};

template<class Table>
struct shutdown_operation {
    using state_type = Table;
    using value_type = void;
    static constexpr join_kind kind = join_kind::shutdown;

    static void take(Table&) noexcept
    {
    }
};

/// What `join_set` and `join_map` have in common: all that needs no key.
template<class Table, class Executor>
class join_group {
public:
    using executor_type = Executor;

    /// What a join yields: the outcome of a task, with its id, and its key if it has one.
    using joined = typename Table::joined;

    join_group(const join_group&) = delete;
    join_group& operator=(const join_group&) = delete;

    /// The executor that `spawn` uses, and the default one for the handlers of joins.
    /** When its context is gone, it is empty; or, if its type cannot be, `asio::execution::bad_executor` is thrown. */
    executor_type get_executor() const
    {
        if constexpr (std::same_as<Executor, boost::asio::any_io_executor>)
            return table().executor();
        else
            return exact(table().executor());
    }

    // -- joining -----------------------------------------------------------------------------------------

    /// Waits for a task to finish, and takes its outcome.
    /**
     * Outcomes come in the order in which the tasks ended. Several joins may wait at once: each gets another task, and
     * when there is none left, all get `nullopt`.
     *
     * @returns  `joined`; or `nullopt` when the set or map is empty, which it may be at once
     * @par Completion Signature
     *   `void(boost::system::error_code, std::optional<joined>)`
     * @par Executor
     *   The handler runs on its associated executor, by default `get_executor()`, and never within this call. It is
     *   the owner there: no other call of a member may run at the same time. A `task` that awaits the join takes an
     *   outcome that is there without being suspended; every so often, others on its executor get their turn first.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total`. No outcome is lost: the task stays to be joined. Nor is one lost when the
     *   join is awaited by a `task` that is aborted.
     * @par Errors
     *   `asio::error::operation_aborted` when it was cancelled, or when the set or map was destroyed meanwhile. But as
     *   with other I/O objects, what is deferred must be launched before that.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join_next(Token&& token = Token())
    {
        using signature = void(boost::system::error_code, std::optional<joined>);
        return async_join<join_next_operation<Table>, signature, Token>(token);
    }

    /// Takes the outcome of the task that ended first, if one has ended. Does not wait. Amortised constant.
    std::optional<joined> try_join_next()
    {
        return table().try_join();
    }

    /// Aborts every task, and waits until all have ended.
    /**
     * The set or map is empty at once: joins that wait get `nullopt`, and outcomes that nobody has joined are
     * destroyed. Waits also for the tasks that were replaced before, but not for detached ones. What is spawned while
     * it waits is not aborted.
     *
     * @par Completion Signature
     *   `void(boost::system::error_code)`
     * @par Executor
     *   As for `async_join_next`.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total` end the waiting; the tasks stay aborted. Another call waits for them again.
     * @par Errors
     *   As for `async_join_next`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_shutdown(Token&& token = Token())
    {
        return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
            [start = initiate_join<shutdown_operation<Table>>(table_), state = table_](auto&& handler) {
                state->begin_shutdown();
                start(std::forward<decltype(handler)>(handler));
            },
            token);
    }

    // -- aborting and forgetting -------------------------------------------------------------------------

    /// Asks every task to end. Returns how many were told: those that had not finished. They stay, to be joined.
    std::size_t abort_all() noexcept
    {
        return table().abort_all(cancel_reason::aborted);
    }

    /// Forgets every task without aborting it: they run on, and what they yield is dropped.
    void detach_all()
    {
        table().detach_all();
    }

    // -- looking -----------------------------------------------------------------------------------------

    /// Whether a task, finished or not, waits to be joined. Constant time.
    bool contains_task(task_id id) const
    {
        const join_state::section owner(table());
        return table().index().find(id) != nullptr;
    }

    /// The number of tasks that are not joined yet, finished or not.
    std::size_t size() const noexcept
    {
        const join_state::section owner(table());
        return table().index().size();
    }

    bool empty() const noexcept
    {
        return size() == 0;
    }

    // -- room --------------------------------------------------------------------------------------------

    /// For how many tasks there is room before the index grows.
    std::size_t capacity() const noexcept
    {
        const join_state::section owner(table());
        return table().index().capacity();
    }

    /// Makes room for `count` tasks in all. @throws std::bad_alloc; then nothing has changed
    void reserve(std::size_t count)
    {
        const join_state::section owner(table());
        table().index().reserve(count);
    }

    /// Gives back room, but keeps what is needed for `count` tasks, and for those that are there, which do not move.
    void shrink_to(std::size_t count)
    {
        const join_state::section owner(table());
        table().index().shrink(count);
    }

    void shrink_to_fit()
    {
        shrink_to(0);
    }

protected:
    using table_type = Table;

    template<class Where, class Hash, class KeyEqual>
    join_group(Where&& where, std::size_t capacity, const Hash& hash, const KeyEqual& equal)
        : table_(make_table(executor_of(std::forward<Where>(where)), capacity, hash, equal))
    {
    }

    join_group(join_group&& other) noexcept = default;

    join_group& operator=(join_group&& other) noexcept
    {
        if (this != &other) {
            abandon();
            table_ = std::move(other.table_);
        }
        return *this;
    }

    ~join_group()
    {
        abandon();
    }

    Table& table() const noexcept
    {
        BOOST_ASSERT_MSG(table_, "a set or map that was moved from can only be assigned to and destroyed");
        return *table_;
    }

    using value_type = typename Table::value_type;

    /// The five ways to spawn, for a key or for none.
    template<class Work, class... Key>
    abort_handle spawn_here(Work&& work, Key&&... key)
    {
        return table().spawn(table().own_home(), false, std::forward<Key>(key)...,
                             make_task<value_type>(std::forward<Work>(work)));
    }

    template<class Where, class Work, class... Key>
    abort_handle spawn_there(Where&& where, Work&& work, Key&&... key)
    {
        const shared_reference<home> there = table().home_for(executor_of(std::forward<Where>(where)));
        return table().spawn(*there, false, std::forward<Key>(key)..., make_task<value_type>(std::forward<Work>(work)));
    }

    template<class F, class... Key>
    abort_handle spawn_in_pool(blocking_pool& pool, F&& function, Key&&... key)
    {
        using plain = std::decay_t<F>;
        check_blocking<plain>(function);
        blocking_home& threads = blocking_pool_access::home(pool);
        if constexpr (stoppable<plain>) {
            const auto call =
                shared_reference<blocking_call>::adopt(new blocking_call(shared_reference<blocking_home>(threads)));
            return table().spawn(*call, true, std::forward<Key>(key)...,
                                 task_of_call<value_type, plain>(std::forward<F>(function), call->stop_token()));
        } else {
            return table().spawn(threads, false, std::forward<Key>(key)...,
                                 task_of_call<value_type, plain>(std::forward<F>(function)));
        }
    }

    template<class Work, class... Key>
    abort_handle spawn_in(local_set& local, Work&& work, Key&&... key)
    {
        return table().spawn(local_set_access::home_of(local), false, std::forward<Key>(key)...,
                             make_task<value_type>(std::forward<Work>(work)));
    }

    static local_set& current_local_set()
    {
        if (local_set* const local = local_set::current())
            return *local;
        throw std::logic_error("joinery: spawn_local outside of local_set::run and local_set::run_until");
    }

    blocking_pool& default_pool() const
    {
        const boost::asio::any_io_executor executor = table().executor();
        if (!executor)
            throw boost::asio::execution::bad_executor(); // its context is gone
        return default_blocking_pool::of(boost::asio::query(executor, boost::asio::execution::context));
    }

    template<class Operation, class Signature, class Token>
    auto async_join(std::remove_reference_t<Token>& token)
    {
        // What is deferred is as a rule awaited at once, and shares nothing: it would cost more than the join.
        using table_reference = std::conditional_t<std::same_as<std::remove_cvref_t<Token>, boost::asio::deferred_t>,
                                                   borrowed_reference<Table>, shared_reference<Table>>;
        return boost::asio::async_initiate<Token, Signature>(
            initiate_join<Operation, table_reference>(table_reference(table())), token);
    }

private:
    static Executor exact(const boost::asio::any_io_executor& executor)
    {
        const Executor* const found = executor.template target<Executor>();
        if (!found)
            throw boost::asio::execution::bad_executor(); // its context is gone
        return *found;
    }

    template<class F>
    static void check_blocking(const F& function)
    {
        static_assert(stoppable<F> || nullary<F>,
                      "joinery: spawn_blocking takes a function without parameters, or with one std::stop_token");
        if constexpr (stoppable<F>)
            static_assert(returns<std::invoke_result<F&, std::stop_token>>,
                          "joinery: the function's value cannot be converted to the value type of the set or map");
        else
            static_assert(returns<std::invoke_result<F&>>,
                          "joinery: the function's value cannot be converted to the value type of the set or map");
        if (is_null(function))
            throw std::invalid_argument("joinery: spawn_blocking of a null function");
    }

    template<class Result>
    static constexpr bool returns =
        std::is_void_v<value_type> || std::is_convertible_v<typename Result::type, value_type>;

    template<class Given, class Hash, class KeyEqual>
    static shared_reference<Table> make_table(const Given& given, std::size_t capacity, const Hash& hash,
                                              const KeyEqual& equal)
    {
        const Executor executor(given);
        // The given type may say more than the erased one.
        constexpr bool erased = std::same_as<Executor, boost::asio::any_io_executor>;
        shared_reference<home> where;
        if constexpr (erased)
            where = home_of(given);
        else
            where = home_of(executor);
        return shared_reference<Table>::adopt(
            new Table(boost::asio::any_io_executor(executor), std::move(where), capacity, hash, equal));
    }

    void abandon() noexcept
    {
        if (table_)
            table_->abandon();
    }

    shared_reference<Table> table_;
};

} // namespace joinery::detail
