// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

constexpr std::size_t rounds = 1'500;

template<class Crowd>
class AbortRace : public ::testing::Test {
protected:
    int_map::joined join(int_map& map)
    {
        std::optional<int_map::joined> next = join_at_home(map).get();
        if (!next)
            throw std::logic_error("a task was lost");
        return std::move(*next);
    }

    watchdog no_hang_;
    asio::thread_pool elsewhere_{1};
    Crowd crowd_;
    rival rival_;
};

using crowds = ::testing::Types<pool_crowd, strand_crowd, context_crowd, runtime_crowd>;
TYPED_TEST_SUITE(AbortRace, crowds);

template<class Crowd>
task<int> wait_by_hand(census::token token, const Crowd& crowd, hand_made& operation)
{
    const resident<Crowd> here(crowd);
    co_await operation.async_wait(asio::deferred);
    co_return static_cast<int>(token.index());
}

TYPED_TEST(AbortRace, AnOperationThatEndsOnAnotherThreadAsTheTaskIsAbortedEndsTheTaskOnce)
{
    census frames(rounds);
    for (std::size_t i = 0; i != rounds; ++i) {
        hand_made operation; // outlives the map
        int_map map(this->crowd_.where());
        const abort_handle handle = map.spawn(0, wait_by_hand(frames.enter(i), this->crowd_, operation));
        wait_until([&] { return operation.waits(); });
        this->rival_.race([&] { operation.end({}); }, [&] { handle.abort(); });
        const int_map::joined next = this->join(map);
        ASSERT_EQ(frames.gone(i), 1);
        ASSERT_TRUE(map.empty());
        if (next.result) {
            ASSERT_EQ(*next.result, static_cast<int>(i));
        } else {
            ASSERT_TRUE(next.result.error().is_cancelled()) << next.result.error();
        }
    }
}

TYPED_TEST(AbortRace, AnOperationBoundToAnotherPoolBringsItsTaskHomeToEnd)
{
    census frames(rounds);
    int_map map(this->crowd_.where());
    for (std::size_t i = 0; i != rounds; ++i) {
        std::atomic<bool> begun = false;
        const abort_handle handle = map.spawn(0, [&, token = frames.enter(i)]() -> task<int> {
            const resident<TypeParam> here(this->crowd_);
            asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::microseconds(i % 50));
            begun = true;
            co_await timer.async_wait(asio::bind_executor(this->elsewhere_.get_executor(), asio::deferred));
            co_await asio::post(asio::bind_executor(this->elsewhere_.get_executor(), asio::deferred));
            co_return 7;
        });
        this->rival_.race([&] { wait_until([&] { return begun || handle.is_finished(); }); }, [] {});
        handle.abort();
        const int_map::joined next = this->join(map);
        ASSERT_EQ(frames.gone(i), 1);
        ASSERT_TRUE(next.result ? *next.result == 7 : next.result.error().is_cancelled());
    }
}

/// A task that ends by itself soon, or not at all.
task<int> sooner_or_later(census::token token)
{
    if (token.index() % 2 == 0)
        co_await this_task::sleep_for(std::chrono::microseconds(token.index() % 50));
    else if (token.index() % 4 == 1)
        co_await this_task::sleep_forever();
    co_return static_cast<int>(token.index());
}

TYPED_TEST(AbortRace, AnAbortOfATaskThatIsBeingReplacedDoesNotTouchItsSuccessor)
{
    census frames(rounds);
    int_map map(this->crowd_.where());
    for (std::size_t i = 0; i != rounds; ++i) {
        const abort_handle old = map.spawn(0, sooner_or_later(frames.enter(i)));
        abort_handle successor;
        this->rival_.race([&] { old.abort(); }, [&] { successor = map.spawn(0, [] { return 1; }); });
        const int_map::joined next = this->join(map);
        ASSERT_EQ(next.id, successor.id()) << "the replaced task was joined";
        ASSERT_TRUE(next.result) << next.result.error();
        ASSERT_TRUE(map.empty());
    }
    wait_until([&] { return frames.gone() == rounds; });
    EXPECT_TRUE(frames.all_gone_once());
}

TYPED_TEST(AbortRace, AnAbortOfATaskThatIsBeingDetachedEndsItOnce)
{
    census frames(rounds);
    int_map map(this->crowd_.where());
    for (std::size_t i = 0; i != rounds; ++i) {
        const abort_handle handle = map.spawn(0, sooner_or_later(frames.enter(i)));
        this->rival_.race([&] { handle.abort(); }, [&] { map.detach_all(); });
        ASSERT_TRUE(map.empty());
        ASSERT_FALSE(map.try_join_next());
    }
    wait_until([&] { return frames.gone() == rounds; });
    EXPECT_TRUE(frames.all_gone_once());
}

TYPED_TEST(AbortRace, AnAbortDuringTheDestructionOfTheMapEndsTheTaskOnce)
{
    census frames(2 * rounds);
    for (std::size_t i = 0; i != rounds; ++i) {
        auto map = std::make_unique<int_map>(this->crowd_.where());
        const abort_handle handle = map->spawn(0, sooner_or_later(frames.enter(2 * i)));
        const abort_handle other = map->spawn(1, sooner_or_later(frames.enter(2 * i + 1)));
        this->rival_.race([&] { (handle.abort(), other.abort()); }, [&] { map.reset(); });
    }
    wait_until([&] { return frames.gone() == 2 * rounds; });
    EXPECT_TRUE(frames.all_gone_once());
}

TYPED_TEST(AbortRace, AJoinThatWaitsWhenTheMapIsDestroyedIsToldSoOnce)
{
    census frames(rounds);
    std::atomic<std::size_t> told = 0;
    for (std::size_t i = 0; i != rounds; ++i) {
        auto map = std::make_unique<int_map>(this->crowd_.where());
        const abort_handle handle = map->spawn(0, sooner_or_later(frames.enter(i)));
        map->async_join_next([&told](boost::system::error_code error, std::optional<int_map::joined> next) {
            EXPECT_TRUE(error ? error == asio::error::operation_aborted && !next : next.has_value());
            ++told;
        });
        this->rival_.race([&] { handle.abort(); }, [&] { map.reset(); });
    }
    wait_until([&] { return told == rounds && frames.gone() == rounds; });
    EXPECT_TRUE(frames.all_gone_once());
    EXPECT_EQ(told, rounds);
}

TYPED_TEST(AbortRace, HandlesWorkOnEveryThreadWhenAllElseIsGone)
{
    constexpr std::size_t tasks = 200;
    census frames(tasks);
    std::vector<abort_handle> handles;
    {
        TypeParam gone;
        int_map map(gone.where());
        for (std::size_t i = 0; i != tasks; ++i)
            handles.push_back(map.spawn(static_cast<int>(i), sooner_or_later(frames.enter(i))));
        for (std::size_t i = 0; i != tasks / 2; ++i)
            handles.push_back(handles[i]);
        for (std::size_t i = 0; i != tasks / 4; ++i)
            ASSERT_TRUE(map.async_join_next(asio::use_future).get()) << "half of them end by themselves";
    }
    std::vector<std::thread> threads;
    for (int i = 0; i != 4; ++i) {
        threads.emplace_back([copies = handles, &handles] {
            for (std::size_t k = 0; k != copies.size(); ++k) {
                EXPECT_FALSE(copies[k].abort());
                EXPECT_TRUE(copies[k].is_finished());
                EXPECT_EQ(copies[k].id(), handles[k].id());
            }
        });
    }
    for (std::thread& each : threads)
        each.join();
    handles.clear();
    EXPECT_TRUE(frames.all_gone_once());
}

} // namespace
} // namespace joinery::test
