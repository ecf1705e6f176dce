// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <source_location>
#include <stdexcept>

namespace joinery::test {

/// How long something that should happen at once may take before the test counts as hanging.
inline constexpr std::chrono::seconds patience(20);

/// Runs what is ready now, and nothing that is not.
inline std::size_t poll(boost::asio::io_context& context)
{
    context.restart();
    return context.poll();
}

/// Runs a context until it has nothing more to do.
inline void run(boost::asio::io_context& context, std::source_location where = std::source_location::current())
{
    context.restart();
    context.run_for(patience);
    if (!context.stopped())
        ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "the context never runs out of work";
}

/// Runs a context until a condition holds.
template<class Condition>
void run_until(boost::asio::io_context& context, Condition condition,
               std::source_location where = std::source_location::current())
{
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        context.restart();
        if (context.run_one_until(deadline) != 0)
            continue;
        if (!condition())
            ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
                << "the condition does not hold, and nothing is left that could make it so";
        return;
    }
}

/// The value of a future that another thread sees to.
template<class T>
T get(std::future<T> future, std::source_location where = std::source_location::current())
{
    if (future.wait_for(patience) == std::future_status::ready)
        return future.get();
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "the future never becomes ready";
    throw std::runtime_error("the future never becomes ready");
}

} // namespace joinery::test
