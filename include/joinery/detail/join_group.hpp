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
#include <joinery/detail/special_joins.hpp>
#include <joinery/detail/table_user.hpp>
#include <joinery/detail/work.hpp>
#include <joinery/local_set.hpp>
#include <joinery/observation.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/bad_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/assert.hpp>
#include <boost/config.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
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
struct join_until_closed_operation : join_next_operation<Table> {
    static constexpr join_kind kind = join_kind::until_closed;
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

    static void begin(Table& table)
    {
        table.begin_shutdown();
    }

    static void take(Table&) noexcept
    {
    }
};

/// What the handles of sets and maps have in common.
template<class Table>
class group_handle {
public:
    /// Refuses all work from now on. See `join_map::close`.
    void close() const noexcept
    {
        user_.table().seal_off();
    }

    /// Whether work is refused: also when the set or map has been destroyed.
    bool is_closed() const noexcept
    {
        const join_state::section owner(user_.table(), true);
        return user_.table().is_sealed();
    }

    /// Asks every task to end. Returns how many were told.
    std::size_t abort_all() const noexcept
    {
        const join_state::section owner(user_.table(), true);
        return user_.table().abort_all(cancel_reason::aborted);
    }

    /// The number of tasks that are not joined yet; none when the set or map has been destroyed.
    std::size_t size() const noexcept
    {
        const join_state::section owner(user_.table(), true);
        return user_.table().index().size();
    }

    bool empty() const noexcept
    {
        return size() == 0;
    }

protected:
    explicit group_handle(Table& table)
        : user_(table)
    {
    }

    template<class Work, class... Key>
    spawned put(const spawn_options& options, Work&& work, Key&&... key) const
    {
        Table& table = user_.table();
        return table.spawn_by_rules(table.own_home(), false, options,
                                    make_task<typename Table::value_type>(std::forward<Work>(work)),
                                    std::forward<Key>(key)...);
    }

    Table& table() const noexcept
    {
        return user_.table();
    }

private:
    table_user<Table> user_;
};

/// Where a function was called: its last parameter, which is not to be given.
class call_site {
public:
    constexpr explicit call_site(std::source_location caller) noexcept
        : where_(caller)
    {
    }

    constexpr std::source_location where() const noexcept
    {
        return where_;
    }

private:
    std::source_location where_;
};

/// Stands for `spawn_options` where there are none.
struct no_options {
    constexpr explicit no_options(call_site caller) noexcept
        : where(caller.where())
    {
    }

    std::source_location where;
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

    /// The same, but waits also while the set or map is empty, until it has been closed.
    /**
     * For an owner who joins while others spawn. Yields `nullopt` when the set or map is both empty and closed.
     *
     * Completion signature, executor, cancellation and errors are those of `async_join_next`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join_until_closed(Token&& token = Token())
    {
        using signature = void(boost::system::error_code, std::optional<joined>);
        return async_join<join_until_closed_operation<Table>, signature, Token>(token);
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
            initiate_join<shutdown_operation<Table>>(table_), token);
    }

    /// Waits for all tasks to finish, and takes their outcomes, in the order in which they ended.
    /**
     * @returns  one `joined` for each task; none if the set or map is empty, which it may be at once
     * @par Completion Signature
     *   `void(boost::system::error_code, std::vector<joined>)`
     * @par Executor
     *   As for `async_join_next`.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total`. Every outcome stays to be joined.
     * @par Errors
     *   As for `async_join_next`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join_all(Token&& token = Token())
    {
        using signature = void(boost::system::error_code, std::vector<joined>);
        return async_join<join_all_operation<Table>, signature, Token>(token);
    }

    /// The same, but as soon as a task ends without a value, all others are aborted.
    /**
     * Waits until all have ended in any case. The first outcome without a value is the cause; what was aborted for it comes
     * after. Not for a set or map of which single tasks are waited for by others.
     *
     * Completion signature, executor, cancellation and errors are those of `async_join_all`.
     */
    template<class Token = boost::asio::deferred_t>
    auto async_join_all_or_abort(Token&& token = Token())
    {
        using signature = void(boost::system::error_code, std::vector<joined>);
        return async_special<signature, Token>(token, fail_fast_join<Table>());
    }

    /// Hands every outcome to a function, `function(joined)`, from now on; so nobody needs to join.
    /**
     * The function is called on the executor of the set or map, by one thread at a time, until the set or map is closed and
     * empty, or destroyed. Waiting for the next outcome counts as work of the executor. What the function throws goes to
     * whoever runs the executor; it is called again for the next outcome. @throws std::bad_alloc
     */
    template<class F>
    void consume(F&& function)
    {
        consumer<Table, std::decay_t<F>>::start(table(), std::decay_t<F>(std::forward<F>(function)));
    }

    /// Destroys every outcome from now on: for tasks whose results nobody wants. Else as `consume`.
    void discard_results()
    {
        consume([](joined&&) noexcept {});
    }

    /// What a shutdown with a grace period leaves behind: see `async_shutdown`.
    using unfinished_tasks = typename Table::unfinished_tasks;

    /// Ends every task: first asks them to come to an end by themselves, then aborts them; and reports which have not ended.
    /**
     * Closes the set or map, aborts the tasks that have not started, and asks the others to stop: through
     * `this_task::stop_token()`, and the `std::stop_token` of functions on a blocking pool. What has not ended when `grace`
     * has passed is aborted, and what has not ended another `patience` later is left alone: no longer waited for, it is
     * reported by its key, or in a `join_set` by its id. So the whole takes no longer than `grace + patience`, whatever the
     * tasks do.
     *
     * Joins that wait get outcomes until the end; those that nobody has joined by then are destroyed.
     *
     * @returns  the tasks that have not ended (`listed`), and the number of those, replaced before, whose keys are not
     *           known any more (`replaced`)
     * @par Completion Signature
     *   `void(boost::system::error_code, unfinished_tasks)`
     * @par Executor
     *   As for `async_join_next`.
     * @par Per-Operation Cancellation
     *   `terminal`, `partial` and `total` end the waiting. What has been asked for stays asked for.
     * @par Errors
     *   As for `async_join_next`. @throws std::bad_alloc
     */
    template<class Token = boost::asio::deferred_t>
    auto async_shutdown(std::chrono::nanoseconds grace, std::chrono::nanoseconds patience, Token&& token = Token())
    {
        using signature = void(boost::system::error_code, unfinished_tasks);
        return async_special<signature, Token>(token, graceful_shutdown<Table>(grace, patience));
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

    // -- limits and the end ------------------------------------------------------------------------------

    /// Sets how many tasks may run, and how many more may wait.
    /**
     * A task that is spawned when so many run waits, unstarted, in the order of spawning. It is a task of the set or map
     * like any other: it is found, aborted, replaced and joined. Changing the limits while tasks
     * run and wait aborts none: tasks that have room start at once, and when too many run, none starts until fewer do.
     *
     * Tasks that are detached count until they have ended. @throws std::bad_alloc
     */
    void set_limits(const task_limits& limits)
    {
        table().set_limits(limits);
    }

    /// Refuses all work from now on.
    /**
     * The tasks that are there go on, those that wait for their start included, and are joined as ever; then the joins say
     * that there are no more.
     */
    void close() noexcept
    {
        table().seal_off();
    }

    bool is_closed() const noexcept
    {
        const join_state::section owner(table());
        return table().is_sealed();
    }

    // -- seeing ------------------------------------------------------------------------------------------

    /// Observes the tasks that are spawned from now on: for `snapshot()`, `counters()`, and `task_tree()`.
    /**
     * An observed task costs an allocation or two more, and the owner's calls take a lock from now on. Without observation
     * nothing of this costs anything. @throws std::bad_alloc
     */
    void observe(observation wanted = {})
    {
        table().observe(std::move(wanted));
    }

    /// How many tasks were spawned and how they ended, and how many run and wait; without observation, only the last two.
    task_counters counters() const
    {
        return table().counters();
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

    /// The ways to spawn, for a key or for none, with options or with none.
    template<class Options, class Work, class... Key>
    BOOST_FORCEINLINE auto spawn_here(const Options& options, Work&& work, Key&&... key)
    {
        return put(options, table().own_home(), false, make_task<value_type>(std::forward<Work>(work)),
                   std::forward<Key>(key)...);
    }

    template<class Options, class Where, class Work, class... Key>
    auto spawn_there(const Options& options, Where&& where, Work&& work, Key&&... key)
    {
        const shared_reference<home> there = table().home_for(executor_of(std::forward<Where>(where)));
        return put(options, *there, false, make_task<value_type>(std::forward<Work>(work)), std::forward<Key>(key)...);
    }

    template<class Options, class F, class... Key>
    auto spawn_in_pool(const Options& options, blocking_pool& pool, F&& function, Key&&... key)
    {
        using plain = std::decay_t<F>;
        check_blocking<plain>(function);
        blocking_home& threads = blocking_pool_access::home(pool);
        if constexpr (stoppable<plain>) {
            const auto call =
                shared_reference<blocking_call>::adopt(new blocking_call(shared_reference<blocking_home>(threads)));
            return put(options, *call, true,
                       task_of_call<value_type, plain>(std::forward<F>(function), call->stop_token()),
                       std::forward<Key>(key)...);
        } else {
            return put(options, threads, false, task_of_call<value_type, plain>(std::forward<F>(function)),
                       std::forward<Key>(key)...);
        }
    }

    template<class Options, class Work, class... Key>
    auto spawn_in(const Options& options, local_set& local, Work&& work, Key&&... key)
    {
        return put(options, local_set_access::home_of(local), false, make_task<value_type>(std::forward<Work>(work)),
                   std::forward<Key>(key)...);
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

    template<class Signature, class Token, class Operation>
    auto async_special(std::remove_reference_t<Token>& token, Operation operation)
    {
        return boost::asio::async_initiate<Token, Signature>(
            initiate_special_join<Operation>(shared_reference<Table>(table()), std::move(operation)), token);
    }

private:
    friend struct join_group_access;

    template<class Options, class... Key>
    BOOST_FORCEINLINE auto put(const Options& options, home& where, bool settled, task<value_type>&& work, Key&&... key)
    {
        if constexpr (std::same_as<Options, no_options>)
            return table().spawn(where, settled, std::forward<Key>(key)..., std::move(work), options.where);
        else
            return table().spawn_by_rules(where, settled, options, std::move(work), std::forward<Key>(key)...);
    }

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

/// What a scope may do with its set or map.
struct join_group_access {
    template<class Table, class Executor>
    static Table& table(const join_group<Table, Executor>& group) noexcept
    {
        return group.table();
    }
};

} // namespace joinery::detail
