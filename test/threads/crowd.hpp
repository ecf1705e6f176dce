// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/runtime.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

// What the tests with several threads share: where tasks run, who counts their ends, and who notices that all hangs.

namespace joinery::test {

/// Ends the program if it still lives after a time that no test needs: a hang fails, and says where.
class watchdog {
public:
    explicit watchdog(std::chrono::seconds limit = std::chrono::seconds(90))
        : thread_([this, limit] { watch(limit); })
    {
    }

    ~watchdog()
    {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

private:
    void watch(std::chrono::seconds limit)
    {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, limit, [this] { return over_; }))
            return;
        const ::testing::TestInfo* const test = ::testing::UnitTest::GetInstance()->current_test_info();
        std::fprintf(stderr, "%s.%s hangs\n", test ? test->test_suite_name() : "?", test ? test->name() : "?");
        std::abort();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

/// Waits, with the processor left to others, until a condition holds. Only under a `watchdog`.
template<class Condition>
void wait_until(Condition&& holds)
{
    while (!holds())
        std::this_thread::yield();
}

/// Lets a little time go by.
inline void tarry(int turns) noexcept
{
    static std::atomic<int> sink{0};
    for (; turns > 0; --turns)
        sink.store(turns, std::memory_order_relaxed);
}

/// Counts the ends of frames: each task has a token from its spawn to the end of its frame.
class census {
public:
    explicit census(std::size_t tasks)
        : gone_(tasks)
    {
    }

    class token {
    public:
        token(census& all, std::size_t index) noexcept
            : census_(&all)
            , index_(index)
        {
        }

        token(token&& other) noexcept
            : census_(std::exchange(other.census_, nullptr))
            , index_(other.index_)
        {
        }

        token& operator=(token&&) = delete;

        ~token()
        {
            if (census_)
                census_->gone_[index_].fetch_add(1, std::memory_order_relaxed);
        }

        std::size_t index() const noexcept
        {
            return index_;
        }

    private:
        census* census_;
        std::size_t index_;
    };

    token enter(std::size_t index) noexcept
    {
        return token(*this, index);
    }

    /// How often the frame of a task was destroyed.
    int gone(std::size_t index) const noexcept
    {
        return gone_[index].load(std::memory_order_relaxed);
    }

    /// The number of tasks whose frame was destroyed, once or more often.
    std::size_t gone() const noexcept
    {
        std::size_t count = 0;
        for (const std::atomic<int>& each : gone_)
            count += each.load(std::memory_order_relaxed) != 0;
        return count;
    }

    bool all_gone_once() const noexcept
    {
        for (const std::atomic<int>& each : gone_) {
            if (each.load(std::memory_order_relaxed) != 1)
                return false;
        }
        return true;
    }

private:
    std::vector<std::atomic<int>> gone_;
};

/// A local of a task that notices when it is destroyed elsewhere than on the task's home.
template<class Crowd>
class resident {
public:
    explicit resident(const Crowd& crowd) noexcept
        : crowd_(crowd)
    {
    }

    resident(const resident&) = delete;
    resident& operator=(const resident&) = delete;

    ~resident()
    {
        EXPECT_TRUE(crowd_.is_home(began_)) << "a frame was destroyed away from its home";
    }

private:
    const Crowd& crowd_;
    const std::thread::id began_ = std::this_thread::get_id();
};

// -- crowds: several threads that run tasks. `is_home(began)` is whether this is the home of a task that began there ----

class pool_crowd {
public:
    auto where()
    {
        return pool_.get_executor();
    }

    bool is_home(std::thread::id) const noexcept
    {
        return pool_.get_executor().running_in_this_thread();
    }

private:
    mutable boost::asio::thread_pool pool_{4};
};

class strand_crowd {
public:
    auto where()
    {
        return strand_;
    }

    bool is_home(std::thread::id) const noexcept
    {
        return strand_.running_in_this_thread();
    }

private:
    boost::asio::thread_pool pool_{4};
    boost::asio::strand<boost::asio::thread_pool::executor_type> strand_{pool_.get_executor()};
};

class context_crowd {
public:
    context_crowd()
    {
        for (int i = 0; i != 4; ++i)
            threads_.emplace_back([this] { context_.run(); });
    }

    ~context_crowd()
    {
        stop();
    }

    auto where()
    {
        return context_.get_executor();
    }

    bool is_home(std::thread::id) const noexcept
    {
        return context_.get_executor().running_in_this_thread();
    }

    void stop()
    {
        context_.stop();
        for (std::thread& each : threads_)
            each.join();
        threads_.clear();
    }

private:
    mutable boost::asio::io_context context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
    std::vector<std::thread> threads_;
};

class runtime_crowd {
public:
    runtime& where() noexcept
    {
        return runtime_;
    }

    bool is_home(std::thread::id began) const noexcept
    {
        return std::this_thread::get_id() == began;
    }

private:
    runtime runtime_{4};
};

// ------------------------------------------------------------------------------------------------------------------

/// Waits for a task of a map with a handler that runs on the map's executor (`use_future` brings an executor of its own).
template<class Map>
std::future<std::optional<typename Map::joined>> join_at_home(Map& map)
{
    std::promise<std::optional<typename Map::joined>> promise;
    auto future = promise.get_future();
    map.async_join_next([promise = std::move(promise)](boost::system::error_code error, auto next) mutable {
        EXPECT_FALSE(error) << error.message();
        promise.set_value(std::move(next));
    });
    return future;
}

/// An operation that ends on another thread, whatever its handler's executor, and that cannot be cancelled.
template<class Token>
auto async_visit(boost::asio::thread_pool& elsewhere, Token&& token)
{
    return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
        [&elsewhere](auto handler) {
            boost::asio::post(elsewhere, [handler = std::move(handler)]() mutable {
                std::move(handler)(boost::system::error_code());
            });
        },
        token);
}

/// An operation that a test ends, on any thread, and that an abort ends, too, if it can: whichever comes first.
class hand_made {
public:
    explicit hand_made(bool can_be_cancelled = true) noexcept
        : can_be_cancelled_(can_be_cancelled)
    {
    }

    template<class Token>
    auto async_wait(Token&& token)
    {
        return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
            [this](auto handler) {
                auto slot = boost::asio::get_associated_cancellation_slot(handler);
                auto kept = std::make_shared<decltype(handler)>(std::move(handler));
                handler_ = [kept](boost::system::error_code error) { std::move (*kept)(error); };
                if (slot.is_connected() && can_be_cancelled_)
                    slot.assign([this](boost::asio::cancellation_type) { end(boost::asio::error::operation_aborted); });
                waits_ = true;
            },
            token);
    }

    bool waits() const noexcept
    {
        return waits_;
    }

    void end(boost::system::error_code error)
    {
        if (waits_.exchange(false))
            std::exchange(handler_, nullptr)(error);
    }

private:
    const bool can_be_cancelled_;
    std::function<void(boost::system::error_code)> handler_;
    std::atomic<bool> waits_{false};
};

/// A second thread, to do one thing while the caller does another.
/** Now the one begins a little earlier, now the other: so the two meet at each of their moments in some round. */
class rival {
public:
    rival()
        : thread_([this] { work(); })
    {
    }

    ~rival()
    {
        over_ = true;
        thread_.join();
    }

    /// Runs both functions at the same time, as nearly as can be, and waits for both.
    template<class F>
    void race(std::function<void()> theirs, F&& mine)
    {
        theirs_ = std::move(theirs);
        const int round = rounds_.load() + 1;
        rounds_.store(round);
        wait_until([&] { return ready_.load() == round; });
        tarry(-skew(round));
        mine();
        wait_until([&] { return done_.load() == round; });
    }

private:
    static int skew(int round) noexcept
    {
        constexpr int most = 60;
        return 10 * (round % (2 * most + 1) - most);
    }

    void work()
    {
        for (int round = 1;; ++round) {
            wait_until([&] { return rounds_.load() == round || over_; });
            if (rounds_.load() != round)
                return;
            ready_.store(round);
            tarry(skew(round));
            theirs_();
            done_.store(round);
        }
    }

    std::function<void()> theirs_;
    std::atomic<int> rounds_{0};
    std::atomic<int> ready_{0};
    std::atomic<int> done_{0};
    std::atomic<bool> over_{false};
    std::thread thread_;
};

} // namespace joinery::test
