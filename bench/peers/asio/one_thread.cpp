// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "task_map.hpp"

#include "../../harness/program.hpp"
#include "../../subjects/awaitable_work.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <exception>
#include <utility>

namespace {

/// The map written by hand, on one thread: tasks and owner are awaitables on an io_context.
class subject : public bench::awaitable_work {
public:
    using owner = boost::asio::awaitable<void>;
    static constexpr bool has_blocking = true;
    static constexpr int workers = 1;

    template<class K>
    peers::task_map<K, std::uint64_t> make_map()
    {
        return peers::task_map<K, std::uint64_t>(context_.get_executor(), blocking_);
    }

    void run(owner workload)
    {
        boost::asio::co_spawn(context_, std::move(workload), [](std::exception_ptr failure) {
            if (failure)
                std::rethrow_exception(failure);
        });
        context_.restart();
        context_.run();
    }

    static auto yield()
    {
        return boost::asio::post(boost::asio::deferred);
    }

private:
    boost::asio::io_context context_{1};
    boost::asio::thread_pool blocking_;
};

} // namespace

int main(int argc, char** argv)
{
    return bench::program<subject>(argc, argv);
}
