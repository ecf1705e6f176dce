// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/home.hpp>
#include <joinery/detail/shared_object.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/require.hpp>

#include <mutex>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// A home that brings its own executor along: a `local_set`, a `runtime`, or one of its workers.
class own_home : public home {
public:
    /// An `io_context` that will call what is posted to it. It does not end before this is given up.
    struct open_context {
        boost::asio::io_context* context = nullptr; // null if the home has ended
        void (*before)() = nullptr;                 // to be called before each function
        std::unique_lock<std::mutex> lock;
    };

    using home::home;

    /// The home that an executor brought along; else null.
    static own_home* of(const boost::asio::any_io_executor& executor) noexcept;

    /// Whether the caller is where the executor's functions run.
    virtual bool runs_here() const noexcept = 0;

    /// Calls a function where tasks run, but not within this call. Does not if the home has ended. Any thread.
    template<class F>
    void post(F&& what)
    {
        const open_context open = context_for_post();
        if (!open.context)
            return;
        const auto executor =
            boost::asio::require(open.context->get_executor(), boost::asio::execution::blocking.never);
        if (!open.before)
            return executor.execute(std::forward<F>(what));
        executor.execute([before = open.before, what = std::decay_t<F>(std::forward<F>(what))]() mutable {
            before();
            std::move(what)();
        });
    }

    /// Where a function is to be posted to now. Any thread.
    virtual open_context context_for_post() = 0;

    /// @pre the home has not ended
    virtual boost::asio::execution_context& context() noexcept = 0;

    boost::asio::any_io_executor executor() final;

    /// An executor on whose context an Asio timer can wait.
    virtual boost::asio::any_io_executor timer_executor()
    {
        return executor();
    }

    bool runs_on(const boost::asio::any_io_executor& executor) final
    {
        return of(executor) == this;
    }

protected:
    ~own_home() = default;
};

/// The executor of such a home. A copy may outlive the execution context; it throws away what it is given then.
/**
 * Asio copies the executor of a handler into the operation, and when the operation ends on another context, lets go of
 * that copy only after it has passed the handler on; by then the task may have ended, and with it the `local_set`. A copy
 * of `io_context::executor_type` that counts as work would touch its `io_context` after its end.
 *
 * @tparam Dispatches  whether a function may be called within `execute`
 */
template<bool Dispatches>
class own_executor {
public:
    explicit own_executor(own_home& target) noexcept
        : home_(target)
    {
    }

    own_home& home() const noexcept
    {
        return *home_;
    }

    template<class F>
    void execute(F&& function) const
    {
        if constexpr (Dispatches) {
            if (home_->runs_here()) {
                std::decay_t<F> owned(std::forward<F>(function));
                return std::move(owned)();
            }
        }
        home_->post(std::forward<F>(function));
    }

    boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept
    {
        return home_->context();
    }

    static constexpr boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) noexcept
    {
        if constexpr (Dispatches)
            return boost::asio::execution::blocking.possibly;
        else
            return boost::asio::execution::blocking.never;
    }

    own_executor<true> require(boost::asio::execution::blocking_t::possibly_t) const noexcept
    {
        return own_executor<true>(*home_);
    }

    own_executor<false> require(boost::asio::execution::blocking_t::never_t) const noexcept
    {
        return own_executor<false>(*home_);
    }

    bool running_in_this_thread() const noexcept
    {
        return home_->runs_here();
    }

    friend bool operator==(const own_executor& a, const own_executor& b) noexcept
    {
        return &a.home() == &b.home();
    }

private:
    shared_reference<own_home> home_;
};

inline own_home* own_home::of(const boost::asio::any_io_executor& executor) noexcept
{
    if (const auto* dispatching = executor.target<own_executor<true>>())
        return &dispatching->home();
    if (const auto* posting = executor.target<own_executor<false>>())
        return &posting->home();
    return nullptr;
}

inline boost::asio::any_io_executor own_home::executor()
{
    return own_executor<true>(*this);
}

} // namespace joinery::detail
