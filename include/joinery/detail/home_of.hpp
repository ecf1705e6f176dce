// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/concurrent_home.hpp>
#include <joinery/detail/home.hpp>
#include <joinery/detail/own_home.hpp>
#include <joinery/detail/serial_home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/task_strand_executor.hpp>
#include <joinery/serial_executor.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <type_traits>
#include <utility>

namespace joinery::detail {

template<class Executor>
bool is_inside(const boost::asio::any_io_executor& executor) noexcept
{
    const Executor* const exact = executor.target<Executor>();
    return exact && exact->running_in_this_thread();
}

/// Whether `running_in_this_thread()` says where the functions of an executor, which is not serial, may run at once.
template<class Executor>
inline constexpr bool dispatches_inside = std::is_same_v<Executor, boost::asio::io_context::executor_type> ||
                                          std::is_same_v<Executor, boost::asio::thread_pool::executor_type>;

/// Where the tasks of an executor live.
/** For `any_io_executor`, looks for the executors that Asio itself has. @throws std::bad_alloc */
template<class Executor>
shared_reference<home> home_of(const Executor& executor)
{
    using boost::asio::any_io_executor;
    const any_io_executor erased(executor);
    if (own_home* const own = own_home::of(erased))
        return shared_reference<home>(*own);
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
        if (auto found = as(std::type_identity<boost::asio::thread_pool::executor_type>()))
            return found;
        if (auto found = as(std::type_identity<boost::asio::io_context::executor_type>()))
            return found;
        if (auto found = as(std::type_identity<task_strand_executor<true, false>>()))
            return found;
        if (auto found = as(std::type_identity<boost::asio::strand<any_io_executor>>()))
            return found;
        if (auto found = as(std::type_identity<boost::asio::strand<boost::asio::io_context::executor_type>>()))
            return found;
        if (auto found = as(std::type_identity<boost::asio::strand<boost::asio::thread_pool::executor_type>>()))
            return found;
    }
    if constexpr (dispatches_inside<Executor>)
        return shared_reference<concurrent_home>::adopt(new concurrent_home(erased, &is_inside<Executor>));
    else
        return shared_reference<concurrent_home>::adopt(new concurrent_home(erased));
}

/// The executor for the tasks that belong to one on a given executor: a strand is for one task.
inline boost::asio::any_io_executor executor_for_children(const boost::asio::any_io_executor& executor)
{
    const auto below = [&executor]<class Exact>(std::type_identity<Exact>) {
        const Exact* const exact = executor.target<Exact>();
        return exact ? exact->strand().owner().executor() : boost::asio::any_io_executor();
    };
    if (auto found = below(std::type_identity<task_strand_executor<true, false>>()))
        return found;
    if (auto found = below(std::type_identity<task_strand_executor<true, true>>()))
        return found;
    if (auto found = below(std::type_identity<task_strand_executor<false, false>>()))
        return found;
    if (auto found = below(std::type_identity<task_strand_executor<false, true>>()))
        return found;
    return executor;
}

} // namespace joinery::detail
