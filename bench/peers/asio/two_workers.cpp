// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "shared_task_map.hpp"

#include "../../harness/blocking_owner.hpp"
#include "../../harness/program.hpp"
#include "../../subjects/awaitable_work.hpp"

#include <boost/asio/thread_pool.hpp>

#include <cstdint>

namespace {

/// The map written by hand, on a thread_pool of two; the owner is a thread of its own.
class subject : public bench::awaitable_work {
public:
    using owner = bench::blocking_owner;
    static constexpr bool has_blocking = true;
    static constexpr int workers = 2;

    template<class K>
    peers::shared_task_map<K, std::uint64_t> make_map()
    {
        return peers::shared_task_map<K, std::uint64_t>(pool_, blocking_);
    }

    void run(owner workload)
    {
        workload.run();
    }

private:
    boost::asio::thread_pool pool_{workers};
    boost::asio::thread_pool blocking_;
};

} // namespace

int main(int argc, char** argv)
{
    return bench::program<subject>(argc, argv);
}
