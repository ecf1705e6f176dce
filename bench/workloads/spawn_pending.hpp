// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bench {

/// Spawns n tasks that wait until they are aborted, and returns when they wait: a task that is spawned behind them has
/// come to its turn.
template<class Subject, class Map>
typename Subject::owner spawn_pending(Map& tasks, std::size_t n)
{
    for (std::uint64_t key = 0; key != n; ++key)
        tasks.spawn(key, Subject::pending());
    tasks.spawn(n, Subject::value(n));
    co_await tasks.async_join_next();
}

/// A subject whose tasks can wait until they are aborted.
template<class Subject>
concept can_wait = requires { Subject::pending(); };

} // namespace bench
