// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/blocking_pool.hpp>

#include <boost/asio/execution_context.hpp>

#include <mutex>
#include <optional>

namespace joinery::detail {

/// The blocking pool of an execution context: its runtime's, or else one of its own, made when it is first needed.
class default_blocking_pool : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;

    explicit default_blocking_pool(boost::asio::execution_context& context)
        : boost::asio::execution_context::service(context)
    {
    }

    static blocking_pool& of(boost::asio::execution_context& context)
    {
        return boost::asio::use_service<default_blocking_pool>(context).get();
    }

    /// Makes a context share a pool that outlives it.
    static void share(boost::asio::execution_context& context, blocking_pool& pool)
    {
        boost::asio::use_service<default_blocking_pool>(context).shared_ = &pool;
    }

private:
    blocking_pool& get()
    {
        if (shared_)
            return *shared_;
        std::call_once(once_, [this] { own_.emplace(); });
        return *own_;
    }

    void shutdown() override
    {
        own_.reset();
    }

    blocking_pool* shared_ = nullptr;
    std::once_flag once_;
    std::optional<blocking_pool> own_;
};

} // namespace joinery::detail
