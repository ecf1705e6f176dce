// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/join_map.hpp>
#include <joinery/join_queue.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>

#include <work.hpp>

#include <chrono>
#include <utility>

namespace joinery::test {

// Each asynchronous operation of a set or map: how it is started, and how a task is spawned for which it waits. `empties` is
// whether nothing is left when it has ended.

struct map_join_next {
    using group = join_map<int, int>;
    static constexpr const char* name = "MapJoinNext";
    static constexpr bool empties = true;

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_join_next(std::forward<Token>(token));
    }

    static void spawn(group& map, task<int> work)
    {
        map.spawn(1, std::move(work));
    }
};

struct map_shutdown {
    using group = join_map<int, int>;
    static constexpr const char* name = "MapShutdown";
    static constexpr bool empties = true;

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_shutdown(std::forward<Token>(token));
    }

    static void spawn(group& map, task<int> work)
    {
        map.spawn(1, std::move(work));
    }
};

struct set_join_all {
    using group = join_set<int>;
    static constexpr const char* name = "SetJoinAll";
    static constexpr bool empties = true;

    template<class Token>
    static auto start(group& set, Token&& token)
    {
        return set.async_join_all(std::forward<Token>(token));
    }

    static void spawn(group& set, task<int> work)
    {
        set.spawn(std::move(work));
    }
};

/// What an operation of a map waits for: the task under the key 1.
struct on_one_key {
    using group = join_map<int, int>;
    static constexpr bool empties = true;

    static void spawn(group& map, task<int> work)
    {
        map.spawn(1, std::move(work));
    }
};

struct map_join_one : on_one_key {
    static constexpr const char* name = "MapJoin";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_join(1, std::forward<Token>(token));
    }
};

struct map_get : on_one_key {
    static constexpr const char* name = "MapGet";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_get(1, give(1), std::forward<Token>(token));
    }
};

struct map_join_all_or_abort : on_one_key {
    static constexpr const char* name = "MapJoinAllOrAbort";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_join_all_or_abort(std::forward<Token>(token));
    }
};

struct map_graceful_shutdown : on_one_key {
    static constexpr const char* name = "MapGracefulShutdown";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_shutdown(std::chrono::hours(1), std::chrono::hours(1), std::forward<Token>(token));
    }
};

struct map_join_until_closed : on_one_key {
    static constexpr const char* name = "MapJoinUntilClosed";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_join_until_closed(std::forward<Token>(token));
    }

    static void spawn(group& map, task<int> work)
    {
        map.spawn(1, std::move(work));
        map.close();
    }
};

/// What an operation of a map waits for: that the task leaves it room.
struct on_room : on_one_key {
    static constexpr bool empties = false;

    static void spawn(group& map, task<int> work)
    {
        map.set_limits({.running = 1, .waiting = 0});
        map.spawn(1, std::move(work));
    }
};

struct map_spawn : on_room {
    static constexpr const char* name = "MapSpawn";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_spawn(2, give(2), {}, std::forward<Token>(token));
    }
};

struct ready_at_once {
    template<class Ready>
    int operator()(const Ready& ready) const
    {
        ready();
        return 2;
    }
};

struct map_start : on_room {
    static constexpr const char* name = "MapStart";

    template<class Token>
    static auto start(group& map, Token&& token)
    {
        return map.async_start(static_cast<int>(map.size()) + 1, ready_at_once(), {}, std::forward<Token>(token));
    }

    static void spawn(group& map, task<int> work)
    {
        map.set_limits({.running = 1});
        map.spawn(1, std::move(work));
    }
};

struct queue_join_next {
    using group = join_queue<int>;
    static constexpr const char* name = "QueueJoinNext";
    static constexpr bool empties = true;

    template<class Token>
    static auto start(group& queue, Token&& token)
    {
        return queue.async_join_next(std::forward<Token>(token));
    }

    static void spawn(group& queue, task<int> work)
    {
        queue.spawn(std::move(work));
    }
};

} // namespace joinery::test
