// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>

#include <utility>

namespace jobserver {

/// Runs a coroutine on another executor, and yields what it yields. An abort reaches it, too.
template<class V>
joinery::task<V> on_executor(boost::asio::any_io_executor where, joinery::task<V> work)
{
    joinery::join_set<V> call(co_await boost::asio::this_coro::executor);
    call.spawn_on(where, std::move(work));
    auto done = co_await call.async_join_next(boost::asio::deferred);
    co_return std::move(done->result).value();
}

} // namespace jobserver
