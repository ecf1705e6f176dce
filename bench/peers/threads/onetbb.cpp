// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "finished_queue.hpp"

#include "../../harness/blocking_owner.hpp"
#include "../../harness/program.hpp"

#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <cstdint>
#include <optional>
#include <unordered_set>
#include <utility>

namespace {

/// The keys of the tasks of a task_group, which hand their key and value to the owner in a queue.
template<class K>
class task_group_map {
public:
    struct joined {
        K key;
        std::optional<std::uint64_t> result;
    };

    ~task_group_map()
    {
        group_.wait();
    }

    template<class F>
    void spawn(K key, F work)
    {
        keys_.insert(key);
        group_.run([this, key = std::move(key), work] { finished_.push({key, work()}); });
    }

    bench::ready<std::optional<joined>> async_join_next()
    {
        if (keys_.empty())
            return {std::nullopt};
        joined done = finished_.pop();
        keys_.erase(done.key);
        return {std::move(done)};
    }

private:
    std::unordered_set<K> keys_;
    peers::finished_queue<joined> finished_;
    tbb::task_group group_;
};

/// oneTBB's task_group with two workers; the owner is a third thread. No task can be aborted, or wait.
class subject {
public:
    using owner = bench::blocking_owner;
    static constexpr bool has_blocking = false;
    static constexpr int workers = 2;

    static auto value(std::uint64_t result)
    {
        return [result] { return result; };
    }

    template<class K>
    task_group_map<K> make_map()
    {
        return {};
    }

    void run(owner workload)
    {
        arena_.execute([&workload] { workload.run(); });
    }

private:
    tbb::global_control threads_{tbb::global_control::max_allowed_parallelism, workers + 1};
    tbb::task_arena arena_{workers + 1};
};

} // namespace

int main(int argc, char** argv)
{
    return bench::program<subject>(argc, argv);
}
