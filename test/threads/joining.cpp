// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <gtest/gtest.h>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

template<class Crowd>
class JoinAcrossThreads : public ::testing::Test {
protected:
    watchdog no_hang_;
    Crowd crowd_;
    rival rival_;
};

using crowds = ::testing::Types<pool_crowd, strand_crowd, context_crowd, runtime_crowd>;
TYPED_TEST_SUITE(JoinAcrossThreads, crowds);

task<int> soon(int value)
{
    if (value % 3 == 0)
        co_await this_task::yield();
    else if (value % 3 == 1)
        co_await this_task::sleep_for(std::chrono::microseconds(value % 20));
    co_return value;
}

task<int> without_end()
{
    co_await this_task::sleep_forever();
    co_return 0;
}

/// Which tasks were joined: each once, and each with its own value.
class ledger {
public:
    /// Whether this is a task that nobody had joined.
    bool enter(const std::optional<int_map::joined>& next)
    {
        return next && next->result && *next->result == next->key && joined_.insert(next->key).second;
    }

    std::size_t count() const noexcept
    {
        return joined_.size();
    }

private:
    std::set<int> joined_;
};

TYPED_TEST(JoinAcrossThreads, ALoopOfFuturesGetsEachResultOnce)
{
    constexpr int tasks = 5'000;
    int_map map(this->crowd_.where());
    for (int i = 0; i != tasks; ++i)
        map.spawn(i, soon(i));
    ledger joined;
    for (int i = 0; i != tasks; ++i)
        ASSERT_TRUE(joined.enter((i % 2 == 0 ? join_at_home(map) : map.async_join_next(asio::use_future)).get())) << i;
    ASSERT_FALSE(join_at_home(map).get());
}

TYPED_TEST(JoinAcrossThreads, TheOwnerMayUseTheMapWhileItsJoinWaits)
{
    int_map map(this->crowd_.where());
    const abort_handle staying = map.spawn(-1, without_end()); // keeps the map from being empty
    ledger joined;
    int spawned = 0;
    for (int round = 0; round != 1'000; ++round) {
        auto next = round % 2 == 0 ? join_at_home(map) : map.async_join_next(asio::use_future);
        for (int k = 0; k != 4; ++k, ++spawned)
            map.spawn(spawned, soon(spawned));
        do { // the join completes somewhere in here, on another thread
            ASSERT_TRUE(map.contains(-1) && map.contains_task(staying.id()));
            ASSERT_EQ(map.find(-1)->id(), staying.id());
            ASSERT_GE(map.size(), 1u);
            ASSERT_GE(map.keys().size(), 1u);
            ASSERT_FALSE(map.abort(-2));
            ASSERT_EQ(map.abort_matching([](int key) { return key < -2; }), 0u);
            map.reserve(static_cast<std::size_t>(round % 64));
            map.shrink_to_fit();
            if (const auto one = map.try_join_next()) { // beside the join that waits
                ASSERT_TRUE(joined.enter(one));
            }
            if (map.size() == 1) // all are joined: another one for the join that waits
                map.spawn(spawned, soon(spawned)), ++spawned;
        } while (next.wait_for(0s) != std::future_status::ready);
        ASSERT_TRUE(joined.enter(next.get()));
    }
    staying.abort();
    while (const auto next = map.async_join_next(asio::use_future).get())
        ASSERT_TRUE(next->key == -1 || joined.enter(next));
    EXPECT_EQ(joined.count(), static_cast<std::size_t>(spawned));
}

/// Several joins that wait at once, each with its strand, and what became of them.
class waiting_joins {
public:
    struct arrival {
        std::size_t place;
        boost::system::error_code error;
        std::optional<int_map::joined> next;
    };

    explicit waiting_joins(int_map& map)
        : map_(map)
    {
        for (std::size_t i = 0; i != signals_.size(); ++i) {
            strands_.emplace_back(threads_.get_executor());
            start(i);
        }
    }

    std::size_t size() const noexcept
    {
        return signals_.size();
    }

    void start(std::size_t place)
    {
        const auto signal = signals_[place] = std::make_shared<asio::cancellation_signal>();
        map_.async_join_next(asio::bind_cancellation_slot(
            signal->slot(), asio::bind_executor(strands_[place], [this, place, signal](auto error, auto next) {
                const std::lock_guard lock(mutex_);
                arrivals_.push_back({place, error, std::move(next)});
            })));
    }

    /// Cancels a join from its strand, perhaps too late.
    void cancel(std::size_t place)
    {
        asio::post(strands_[place], [signal = signals_[place]] { signal->emit(asio::cancellation_type::total); });
    }

    std::vector<arrival> take()
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(arrivals_, {});
    }

private:
    int_map& map_;
    std::vector<std::shared_ptr<asio::cancellation_signal>> signals_{6};
    std::mutex mutex_;
    std::vector<arrival> arrivals_;
    asio::thread_pool threads_{2};
    std::vector<asio::strand<asio::thread_pool::executor_type>> strands_;
};

TYPED_TEST(JoinAcrossThreads, SeveralJoinsThatWaitAndAreCancelledFromTheirStrandsLoseNothing)
{
    constexpr int tasks = 3'000;
    int_map map(this->crowd_.where());
    map.spawn(-1, without_end());
    ledger joined;
    std::size_t cancelled = 0;
    waiting_joins joins(map);
    const auto note_arrivals = [&] {
        for (const waiting_joins::arrival& each : joins.take()) {
            if (each.error) {
                ASSERT_EQ(each.error, asio::error::operation_aborted);
                ++cancelled;
            } else {
                ASSERT_TRUE(joined.enter(each.next));
            }
            joins.start(each.place);
        }
    };
    for (int i = 0; i != tasks; ++i) {
        map.spawn(i, soon(i));
        joins.cancel(static_cast<std::size_t>(i) % joins.size());
        ASSERT_NO_FATAL_FAILURE(note_arrivals());
    }
    while (joined.count() != tasks)
        ASSERT_NO_FATAL_FAILURE(note_arrivals());
    EXPECT_NE(cancelled, 0u);
    // The last task is for one of them, and then there is none for the others.
    map.abort_all();
    std::size_t last = 0;
    for (std::size_t ended = 0; ended != joins.size();) {
        for (const waiting_joins::arrival& each : joins.take()) {
            if (each.error) {
                joins.start(each.place);
                continue;
            }
            ++ended;
            last += each.next.has_value();
        }
    }
    EXPECT_EQ(last, 1u);
}

/// Joins a map that it does not live with, and notes what it got.
template<class Map, class Token>
task<int> join_elsewhere(Map& map, std::vector<int>& taken, std::atomic<bool>& begun, Token token)
{
    begun = true;
    for (;;) {
        const std::optional<int_map::joined> next = co_await map.async_join_next(token);
        if (!next)
            co_return 0;
        taken.push_back(next->key);
    }
}

template<class Crowd, class Token>
void abort_joiner_in_each_moment(Crowd& crowd, rival& other, asio::thread_pool& elsewhere, Token token)
{
    for (int round = 0; round != 800; ++round) {
        std::vector<int> taken;
        std::atomic<bool> begun = false;
        std::array<hand_made, 3> operations; // outlive the maps
        int_map inner(elsewhere.get_executor());
        for (int i = 0; i != 3; ++i) {
            inner.spawn(i, [&operations, i]() -> task<int> {
                co_await operations.at(static_cast<std::size_t>(i)).async_wait(asio::deferred);
                co_return i;
            });
        }
        int_map outer(crowd.where());
        const abort_handle joiner = outer.spawn(0, join_elsewhere(inner, taken, begun, token));
        wait_until([&] { return begun && std::ranges::all_of(operations, &hand_made::waits); });
        other.race(
            [&] {
                for (hand_made& each : operations)
                    each.end({});
            },
            [&] {
                tarry(round % 200 * 20); // until the joins are under way
                joiner.abort();
            });
        ASSERT_TRUE(outer.async_join_next(asio::use_future).get());
        // The joiner is gone, and the map has its owner back.
        while (const auto next = inner.async_join_next(asio::use_future).get())
            taken.push_back(next->key);
        std::sort(taken.begin(), taken.end());
        ASSERT_EQ(taken, (std::vector<int>{0, 1, 2})) << "in round " << round;
    }
}

TYPED_TEST(JoinAcrossThreads, ATaskThatIsAbortedWhileItJoinsAMapElsewhereLosesNoResult)
{
    asio::thread_pool elsewhere(2);
    abort_joiner_in_each_moment(this->crowd_, this->rival_, elsewhere, asio::deferred);
}

TYPED_TEST(JoinAcrossThreads, NorDoesItWhenTheJoinIsBoundToAnotherPool)
{
    asio::thread_pool elsewhere(2);
    asio::thread_pool third(2);
    abort_joiner_in_each_moment(this->crowd_, this->rival_, elsewhere,
                                asio::bind_executor(third.get_executor(), asio::deferred));
}

TYPED_TEST(JoinAcrossThreads, AShutdownWaitsForEachFrameWhileOthersAbort)
{
    constexpr std::size_t tasks = 16;
    for (int round = 0; round != 300; ++round) {
        census frames(tasks);
        std::vector<abort_handle> handles;
        int_map map(this->crowd_.where());
        for (std::size_t i = 0; i != tasks; ++i) {
            const int key = static_cast<int>(i % (tasks / 2)); // half of them are replaced
            handles.push_back(map.spawn(key, [token = frames.enter(i)]() -> task<int> {
                if (token.index() % 2 == 0)
                    co_await this_task::sleep_forever();
                co_return co_await soon(static_cast<int>(token.index()));
            }));
        }
        std::future<void> over;
        this->rival_.race(
            [&] {
                for (const abort_handle& each : handles)
                    each.abort();
            },
            [&] { over = map.async_shutdown(asio::use_future); });
        ASSERT_TRUE(map.empty());
        over.get();
        ASSERT_TRUE(frames.all_gone_once());
    }
}

TYPED_TEST(JoinAcrossThreads, AJoinOfAllGetsAllThatEndsOnOtherThreads)
{
    join_set<int> set(this->crowd_.where());
    for (int round = 0; round != 300; ++round) {
        const abort_handle staying = set.spawn(without_end());
        for (int i = 0; i != 10; ++i)
            set.spawn(soon(i));
        auto all = set.async_join_all(asio::use_future);
        for (int i = 0; i != 10; ++i)
            set.spawn(soon(i));
        staying.abort();
        const std::vector<join_set<int>::joined> got = all.get();
        ASSERT_EQ(got.size(), 21u);
        ASSERT_TRUE(set.empty());
    }
}

/// A value whose end takes a lock of the user's.
class locking_value {
public:
    locking_value(std::mutex& mutex, std::atomic<bool>& gone) noexcept
        : mutex_(&mutex)
        , gone_(gone)
    {
    }

    locking_value(locking_value&& other) noexcept
        : mutex_(std::exchange(other.mutex_, nullptr))
        , gone_(other.gone_)
    {
    }

    ~locking_value()
    {
        if (!mutex_)
            return;
        const std::lock_guard lock(*mutex_);
        gone_ = true;
    }

private:
    std::mutex* mutex_;
    std::atomic<bool>& gone_;
};

TEST(JoinMapThreads, AResultThatNobodyJoinsIsDestroyedWithNoLockOfTheLibraryHeld)
{
    // Else the two orders of locking, here and on the pool's thread, could meet; TSan sees that they might.
    const watchdog no_hang;
    asio::thread_pool threads(2);
    for (const bool detached : {false, true}) {
        std::mutex mutex;
        std::atomic<bool> begun = false;
        std::atomic<bool> go = false;
        std::atomic<bool> gone = false;
        join_map<int, locking_value> map(threads);
        map.spawn_blocking(0, [&] {
            begun = true;
            wait_until([&] { return go.load(); });
            return locking_value(mutex, gone);
        });
        wait_until([&] { return begun.load(); });
        const auto next = map.async_join_next(asio::use_future);
        if (detached) {
            map.detach_all();
        } else {
            map.spawn(0, []() -> task<locking_value> {
                co_await this_task::sleep_forever();
                throw 0;
            });
        }
        {
            const std::lock_guard lock(mutex);
            static_cast<void>(map.size());
        }
        go = true;
        wait_until([&] { return gone.load(); });
    }
}

} // namespace
} // namespace joinery::test
