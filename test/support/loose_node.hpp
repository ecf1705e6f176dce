// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/home.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/task_node.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <vector>

namespace joinery::test {

/// A home that runs nothing, and remembers what it was told.
class idle_home final : public detail::shared_object, public detail::home {
public:
    idle_home()
        : home(static_cast<detail::shared_object&>(*this))
    {
    }

    void schedule(detail::task_node& task) override
    {
        scheduled.push_back(&task);
    }

    void deliver_abort(detail::task_node& task) noexcept override
    {
        aborts.push_back(&task);
    }

    bool inside() const noexcept override
    {
        return true;
    }

    boost::asio::any_io_executor executor() override
    {
        return {};
    }

    std::vector<detail::task_node*> scheduled;
    std::vector<detail::task_node*> aborts;

private:
    void destroy() noexcept override
    {
    }
};

/// A place for tasks that have ended, which keeps them and counts those that nobody refers to any more.
class idle_sink final : public detail::completion_sink {
public:
    void completed(detail::task_node& task) noexcept override
    {
        ended.push_back(&task);
    }

    void dispose(detail::task_node& task) noexcept override
    {
        disposed.push_back(&task);
    }

    std::vector<detail::task_node*> ended;
    std::vector<detail::task_node*> disposed;
};

/// The node of a task without a coroutine, for what is tested without an executor. It has one reference, its own.
class loose_node {
public:
    explicit loose_node(std::uint64_t number = 1)
    {
        node.spawned(sink, where, false, number);
        node.release(); // the handle's
    }

    operator detail::task_node&() noexcept
    {
        return node;
    }

    idle_home where;
    idle_sink sink;
    detail::task_node node;
};

} // namespace joinery::test
