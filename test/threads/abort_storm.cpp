// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using storm_map = join_map<std::size_t, std::size_t>;

// For each of the four kinds of executors, so that there are 100,000 in all.
constexpr std::size_t tasks_of_a_storm = 25'000;
constexpr std::size_t tasks_at_once = 128;
constexpr int aborting_threads = 8;

/// One handle for each key in use, for the threads that abort.
class targets {
public:
    void set(std::size_t key, abort_handle handle)
    {
        const std::lock_guard lock(places_[key].mutex);
        places_[key].handle = std::move(handle);
    }

    abort_handle get(std::size_t key) const
    {
        const std::lock_guard lock(places_[key].mutex);
        return places_[key].handle;
    }

private:
    struct place {
        mutable std::mutex mutex;
        abort_handle handle;
    };

    std::vector<place> places_{tasks_at_once};
};

/// Threads that abort one task or another until they are told to stop.
class aborters {
public:
    explicit aborters(const targets& all)
    {
        for (int i = 0; i != aborting_threads; ++i)
            threads_.emplace_back([this, &all, i] { work(all, static_cast<unsigned>(i)); });
    }

    ~aborters()
    {
        over_ = true;
        for (std::thread& each : threads_)
            each.join();
    }

private:
    void work(const targets& all, unsigned seed)
    {
        std::minstd_rand random(seed + 1);
        while (!over_) {
            const abort_handle handle = all.get(random() % tasks_at_once);
            handle.abort();
            if (random() % 4 == 0)
                handle.abort(); // again: it changes nothing
            for (unsigned pause = random() % 8; pause != 0; --pause)
                std::this_thread::yield();
        }
    }

    std::atomic<bool> over_{false};
    std::vector<std::thread> threads_;
};

task<std::size_t> inner_of_nested(std::size_t value)
{
    co_await this_task::yield();
    const asio::any_io_executor home = co_await asio::this_coro::executor;
    co_await asio::post(home, asio::deferred);
    co_return value;
}

/// A task in one of the ways in which a task can wait, or not.
template<class Crowd>
task<std::size_t> wait_somehow(census::token token, Crowd& crowd, asio::thread_pool& elsewhere)
{
    const resident<Crowd> here(crowd);
    const asio::any_io_executor home = co_await asio::this_coro::executor;
    switch (token.index() % 8) {
    case 0:
        break;
    case 1:
        for (int i = 0; i != 3; ++i)
            co_await this_task::yield();
        break;
    case 2:
        co_await this_task::sleep_for(std::chrono::microseconds(token.index() % 50));
        break;
    case 3:
        co_await this_task::sleep_forever();
        break;
    case 4:
        for (int i = 0; i != 3; ++i)
            co_await asio::post(home, asio::deferred);
        break;
    case 5:
        co_await asio::post(asio::bind_executor(elsewhere.get_executor(), asio::deferred));
        break;
    case 6:
        co_await async_visit(elsewhere, asio::deferred);
        break;
    default:
        co_return co_await inner_of_nested(token.index());
    }
    co_return token.index();
}

/// Work that follows Asio's rules of cancellation.
template<class Crowd>
asio::awaitable<std::size_t> wait_as_awaitable(census::token token, Crowd& crowd)
{
    const resident<Crowd> here(crowd);
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::microseconds(token.index() % 50));
    co_await timer.async_wait(asio::use_awaitable);
    co_return token.index();
}

template<class Crowd>
class storm {
public:
    void run()
    {
        for (std::size_t key = 0; key != tasks_at_once; ++key)
            spawn(key);
        const aborters threads(targets_);
        while (joined_ != tasks_of_a_storm) {
            // All ways to join, so that each meets the ends of tasks at each of its moments.
            std::optional<storm_map::joined> next = map_.try_join_next();
            if (!next)
                next = joined_ % 2 == 0 ? join_at_home(map_).get() : map_.async_join_next(asio::use_future).get();
            ASSERT_TRUE(next) << "a task was lost: " << joined_ << " of " << spawned_ << " were joined";
            ASSERT_NO_FATAL_FAILURE(check(*next));
            if (spawned_ != tasks_of_a_storm)
                spawn(next->key);
        }
        EXPECT_TRUE(map_.empty());
        EXPECT_FALSE(map_.try_join_next());
        EXPECT_TRUE(census_.all_gone_once());
        EXPECT_NE(values_, 0u) << "nothing was left to finish";
        EXPECT_NE(joined_ - values_, 0u) << "nothing was aborted";
    }

private:
    void spawn(std::size_t key)
    {
        const std::size_t index = spawned_++;
        if (index % 16 == 15) {
            targets_.set(key, map_.spawn(key, [token = census_.enter(index), this]() mutable {
                return wait_as_awaitable(std::move(token), crowd_);
            }));
        } else {
            targets_.set(key, map_.spawn(key, wait_somehow(census_.enter(index), crowd_, elsewhere_)));
        }
        running_[key] = index;
        ids_[key] = targets_.get(key).id();
    }

    void check(const storm_map::joined& next)
    {
        ASSERT_LT(next.key, tasks_at_once);
        const std::size_t index = running_[next.key];
        ASSERT_EQ(next.id, ids_[next.key]) << "a task was joined twice, or under another's key";
        ids_[next.key] = task_id();
        ++joined_;
        ASSERT_EQ(census_.gone(index), 1) << "a task counted as finished before its frame was gone";
        if (next.result.has_value()) {
            ++values_;
            ASSERT_EQ(*next.result, index);
        } else {
            ASSERT_TRUE(next.result.error().is_cancelled()) << next.result.error();
            ASSERT_EQ(next.result.error().reason(), cancel_reason::aborted);
        }
    }

    asio::thread_pool elsewhere_{1};
    census census_{tasks_of_a_storm};
    targets targets_;
    std::vector<std::size_t> running_ = std::vector<std::size_t>(tasks_at_once);
    std::vector<task_id> ids_ = std::vector<task_id>(tasks_at_once);
    std::size_t spawned_ = 0;
    std::size_t joined_ = 0;
    std::size_t values_ = 0;
    Crowd crowd_;
    storm_map map_{crowd_.where()};
};

template<class Crowd>
class AbortFromEightThreads : public ::testing::Test {};

using crowds = ::testing::Types<pool_crowd, strand_crowd, context_crowd, runtime_crowd>;

class crowd_names {
public:
    template<class Crowd>
    static std::string GetName(int)
    {
        if constexpr (std::is_same_v<Crowd, pool_crowd>)
            return "ThreadPool";
        else if constexpr (std::is_same_v<Crowd, strand_crowd>)
            return "Strand";
        else if constexpr (std::is_same_v<Crowd, context_crowd>)
            return "IoContext";
        else
            return "Runtime";
    }
};

TYPED_TEST_SUITE(AbortFromEightThreads, crowds, crowd_names);

TYPED_TEST(AbortFromEightThreads, EveryTaskIsJoinedOnceAndItsFrameDestroyedOnceAtHome)
{
    const watchdog no_hang;
    storm<TypeParam>().run();
}

} // namespace
} // namespace joinery::test
