// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/concurrent_home.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/serial_home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/serial_executor.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <type_traits>
#include <utility>

namespace joinery::detail {

/// The home that an execution context of ours brings along, for the tasks on its own executor.
class resident_home : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;

    using matches_function = bool (*)(const boost::asio::any_io_executor&) noexcept;

    explicit resident_home(boost::asio::execution_context& context)
        : boost::asio::execution_context::service(context)
    {
    }

    /// @param matches  whether an executor is the context's own, and not, say, a strand on it
    void settle(home& resident, matches_function matches) noexcept
    {
        home_ = &resident;
        matches_ = matches;
    }

    home* find(const boost::asio::any_io_executor& executor) const noexcept
    {
        return home_ && matches_(executor) ? home_ : nullptr;
    }

    void shutdown() override
    {
    }

private:
    home* home_ = nullptr;
    matches_function matches_ = nullptr;
};

/// The `io_context` whose own executor, in any of its variants, this is; else null.
inline boost::asio::io_context* own_io_context(const boost::asio::any_io_executor& executor) noexcept
{
    const auto find = [&executor]<unsigned... Bits>(std::integer_sequence<unsigned, Bits...>) {
        boost::asio::io_context* context = nullptr;
        const auto check = [&context](const auto* exact) {
            if (exact)
                context = &exact->context();
        };
        (check(executor.target<boost::asio::io_context::basic_executor_type<std::allocator<void>, Bits>>()), ...);
        return context;
    };
    return find(std::make_integer_sequence<unsigned, 8>());
}

template<class Executor>
bool is_inside(const boost::asio::any_io_executor& executor) noexcept
{
    const Executor* const exact = executor.target<Executor>();
    return exact && exact->running_in_this_thread();
}

/// Where the tasks of an executor live.
/** For `any_io_executor`, looks for the serial executors that Asio itself has. @throws std::bad_alloc */
template<class Executor>
shared_reference<home> home_of(const Executor& executor)
{
    using boost::asio::any_io_executor;
    const any_io_executor erased(executor);
    boost::asio::execution_context& context = boost::asio::query(erased, boost::asio::execution::context);
    if (boost::asio::has_service<resident_home>(context)) {
        if (home* const resident = boost::asio::use_service<resident_home>(context).find(erased))
            return shared_reference<home>(*resident);
    }
    if constexpr (enable_serial_executor<Executor>) {
        if constexpr (requires { executor.running_in_this_thread(); })
            return shared_reference<serial_home>::adopt(new serial_home(erased, &is_inside<Executor>));
        else
            return shared_reference<serial_home>::adopt(new serial_home(erased));
    } else if constexpr (std::is_same_v<Executor, any_io_executor>) {
        const auto as = [&erased]<class Exact>(std::type_identity<Exact>) {
            const Exact* const exact = erased.target<Exact>();
            return exact ? home_of(*exact) : shared_reference<home>();
        };
        if (auto found = as(std::type_identity<boost::asio::strand<any_io_executor>>()))
            return found;
        if (auto found = as(std::type_identity<boost::asio::strand<boost::asio::io_context::executor_type>>()))
            return found;
        if (auto found = as(std::type_identity<boost::asio::strand<boost::asio::thread_pool::executor_type>>()))
            return found;
    }
    return shared_reference<concurrent_home>::adopt(new concurrent_home(erased));
}

} // namespace joinery::detail
