// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "finished_queue.hpp"

#include "../../harness/blocking_owner.hpp"
#include "../../harness/program.hpp"

#include <cstdint>
#include <future>
#include <optional>
#include <unordered_map>
#include <utility>

namespace {

/// A map of futures from std::async, each of which has a thread; they say in a queue that they have ended.
template<class K>
class future_map {
public:
    struct joined {
        K key;
        std::optional<std::uint64_t> result;
    };

    template<class F>
    void spawn(K key, F work)
    {
        auto run = [this, key, work] {
            const std::uint64_t value = work();
            finished_.push(key);
            return value;
        };
        by_key_.emplace(std::move(key), std::async(std::launch::async, std::move(run)));
    }

    template<class F>
    void spawn_blocking(K key, F function)
    {
        spawn(std::move(key), std::move(function));
    }

    bench::ready<std::optional<joined>> async_join_next()
    {
        if (by_key_.empty())
            return {std::nullopt};
        auto entry = by_key_.extract(finished_.pop());
        return {joined{std::move(entry.key()), entry.mapped().get()}};
    }

private:
    peers::finished_queue<K> finished_;
    std::unordered_map<K, std::future<std::uint64_t>> by_key_;
};

/// A map of std::async: a thread for each task. No task can be aborted.
class subject {
public:
    using owner = bench::blocking_owner;
    static constexpr bool has_blocking = true;

    static auto value(std::uint64_t result)
    {
        return [result] { return result; };
    }

    template<class K>
    future_map<K> make_map()
    {
        return {};
    }

    void run(owner workload)
    {
        workload.run();
    }
};

} // namespace

int main(int argc, char** argv)
{
    return bench::program<subject>(argc, argv);
}
