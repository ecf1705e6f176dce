// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/blocking_pool.hpp>
#include <joinery/join_set.hpp>
#include <joinery/scope.hpp>
#include <joinery/task.hpp>

#include <type_traits>
#include <utility>

namespace indexer {

/// Calls a function, which may take a `std::stop_token`, on a pool, and yields its value or its exception.
/**
 * It is over when the function has returned, so the function may refer to what the caller has. When the task is aborted, a
 * function that has not started never does; one that runs has its token stopped, and is waited for all the same.
 */
template<class V, class Function>
joinery::task<V> on_pool(joinery::blocking_pool& pool, Function function)
{
    auto call = [&pool, &function](joinery::join_set<V>& calls) -> joinery::task<V> {
        calls.spawn_blocking_on(pool, std::move(function));
        auto done = co_await calls.async_join_next();
        if constexpr (std::is_void_v<V>)
            done->result.value();
        else
            co_return std::move(done->result).value();
    };
    auto scope = joinery::async_scope<joinery::join_set<V>>(std::move(call));
    if constexpr (std::is_void_v<V>)
        co_await std::move(scope);
    else
        co_return co_await std::move(scope);
}

} // namespace indexer
