// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using int_map = join_map<int, int>;

constexpr std::size_t tasks = 24;
constexpr std::size_t deaths = 120;

task<int> never_ends()
{
    co_await this_task::sleep_forever();
    co_return 0;
}

/// A task in one of the states in which the end of its executor can find it.
task<int> in_some_state(census::token token, std::atomic<std::size_t>& begun, const std::atomic<bool>& release)
{
    ++begun;
    const asio::any_io_executor home = co_await asio::this_coro::executor;
    switch (token.index() % 6) {
    case 0:
        co_await this_task::sleep_for(1h);
        break;
    case 1:
        co_await this_task::sleep_forever();
        break;
    case 2: {
        int_map inner(home);
        inner.spawn(0, never_ends());
        co_await inner.async_join_next();
        break;
    }
    case 3:
        for (;;)
            co_await asio::post(home, asio::deferred);
    case 4:
        while (!release) // runs, whatever its executor or an abort want
            std::this_thread::yield();
        break;
    default:
        for (;;)
            co_await this_task::yield();
    }
    co_return 1;
}

template<class Crowd>
class ExecutorGone : public ::testing::Test {
protected:
    /// Spawns tasks in every state: some begin, some do not.
    void spawn_all(int_map& map, std::size_t round)
    {
        release_ = false;
        begun_ = 0;
        handles_.clear();
        frames_.emplace(tasks);
        for (std::size_t i = 0; i != tasks; ++i)
            handles_.push_back(map.spawn(static_cast<int>(i), in_some_state(frames_->enter(i), begun_, release_)));
        // At most four threads are held by tasks that run, and at least one task runs or has run.
        wait_until([&] { return begun_ > round % 4; });
    }

    void abort_every_second()
    {
        for (std::size_t i = 0; i < tasks; i += 2)
            handles_[i].abort();
    }

    /// Joins a task that has ended or is about to, when no executor is left to bring word of it.
    static int_map::joined join_without_executor(int_map& map)
    {
        std::optional<int_map::joined> next;
        wait_until([&] { return (next = map.try_join_next()).has_value(); });
        return std::move(*next);
    }

    bool all_have_ended() const
    {
        for (const abort_handle& each : handles_) {
            if (!each.is_finished())
                return false;
        }
        return true;
    }

    watchdog no_hang_;
    asio::thread_pool elsewhere_{2};
    std::atomic<std::size_t> begun_ = 0;
    std::atomic<bool> release_ = false;
    std::optional<census> frames_;
    std::vector<abort_handle> handles_;
    rival rival_;
};

using crowds = ::testing::Types<pool_crowd, strand_crowd, context_crowd, runtime_crowd>;
TYPED_TEST_SUITE(ExecutorGone, crowds);

TYPED_TEST(ExecutorGone, EachTaskThatIsLeftIsJoinedOnceWhileOthersAbort)
{
    for (std::size_t round = 0; round != deaths; ++round) {
        auto crowd = std::make_unique<TypeParam>();
        int_map map(crowd->where());
        this->spawn_all(map, round);
        this->rival_.race([this] { (this->release_ = true, this->abort_every_second()); }, [&] { crowd.reset(); });
        std::vector<bool> joined(tasks);
        for (std::size_t i = 0; i != tasks; ++i) {
            const int_map::joined next = this->join_without_executor(map);
            const auto key = static_cast<std::size_t>(next.key);
            ASSERT_FALSE(joined[key]);
            joined[key] = true;
            ASSERT_EQ(next.id, this->handles_[key].id());
            if (next.result)
                continue;
            ASSERT_TRUE(next.result.error().is_cancelled());
            const cancel_reason reason = next.result.error().reason();
            ASSERT_TRUE(reason == cancel_reason::executor_gone || (reason == cancel_reason::aborted && key % 2 == 0))
                << to_string(reason);
        }
        ASSERT_TRUE(map.empty());
        ASSERT_TRUE(this->frames_->all_gone_once());
    }
}

TYPED_TEST(ExecutorGone, AJoinerOnAnotherExecutorHearsOfEachTask)
{
    for (std::size_t round = 0; round != deaths / 2; ++round) {
        auto crowd = std::make_unique<TypeParam>();
        int_map map(crowd->where());
        this->spawn_all(map, round);
        const auto join = [&] {
            return map.async_join_next(asio::bind_executor(this->elsewhere_.get_executor(), asio::use_future));
        };
        auto next = join();
        this->release_ = true;
        this->rival_.race([&] { crowd.reset(); }, [] {});
        for (std::size_t joined = 0; joined != tasks; ++joined, next = join())
            ASSERT_TRUE(next.get()) << joined;
        ASSERT_FALSE(next.get());
        ASSERT_TRUE(this->frames_->all_gone_once());
    }
}

TYPED_TEST(ExecutorGone, MapAndExecutorMayBeDestroyedAtTheSameTime)
{
    for (std::size_t round = 0; round != deaths; ++round) {
        auto crowd = std::make_unique<TypeParam>();
        auto map = std::make_unique<int_map>(crowd->where());
        this->spawn_all(*map, round);
        this->release_ = true;
        this->rival_.race([&] { map.reset(); }, [&] { crowd.reset(); });
        wait_until([this] { return this->all_have_ended(); });
        ASSERT_TRUE(this->frames_->all_gone_once());
    }
}

/// Counts how often a handler was called, and how often it was destroyed without.
struct handler_fates {
    std::atomic<int> called = 0;
    std::atomic<int> dropped = 0;
};

TYPED_TEST(ExecutorGone, AJoinOnItWhoseHandlerItNeverRunsIsDroppedOnce)
{
    struct drop_note {
        explicit drop_note(handler_fates& all)
            : fates(&all)
        {
        }
        drop_note(drop_note&& other) noexcept
            : fates(std::exchange(other.fates, nullptr))
        {
        }
        ~drop_note()
        {
            if (fates)
                ++fates->dropped;
        }
        handler_fates* fates;
    };
    handler_fates fates;
    for (std::size_t round = 0; round != deaths / 2; ++round) {
        auto crowd = std::make_unique<TypeParam>();
        int_map map(crowd->where());
        this->spawn_all(map, round);
        for (int i = 0; i != 2; ++i) {
            map.async_join_next([note = drop_note(fates)](boost::system::error_code, auto) mutable {
                ++std::exchange(note.fates, nullptr)->called;
            });
        }
        this->release_ = true;
        this->rival_.race([this] { this->abort_every_second(); }, [&] { crowd.reset(); });
    }
    EXPECT_EQ(fates.called + fates.dropped, static_cast<int>(deaths)); // two a round, in half as many deaths
}

TYPED_TEST(ExecutorGone, AnOperationThatEndsAfterItEndsItsTask)
{
    for (std::size_t round = 0; round != deaths; ++round) {
        hand_made operation(false);
        census frames(1);
        auto crowd = std::make_unique<TypeParam>();
        int_map map(crowd->where());
        const abort_handle handle = map.spawn(0, [&, token = frames.enter(0)]() -> task<int> {
            co_await operation.async_wait(asio::deferred);
            co_return 0;
        });
        wait_until([&] { return operation.waits(); });
        crowd.reset();
        EXPECT_FALSE(handle.is_finished()) << "it waits for something that goes on";
        asio::post(this->elsewhere_, [&] { operation.end({}); });
        const int_map::joined next = this->join_without_executor(map);
        ASSERT_TRUE(handle.is_finished());
        ASSERT_TRUE(frames.all_gone_once());
        ASSERT_TRUE(!next.result && next.result.error().is_cancelled());
        ASSERT_EQ(next.result.error().reason(), cancel_reason::executor_gone);
    }
}

TYPED_TEST(ExecutorGone, OperationsElsewhereAreCancelledOrEndAtThatMoment)
{
    constexpr std::size_t waiting = 16;
    const auto is_waiting = [](const hand_made& each) { return each.waits(); };
    for (std::size_t round = 0; round != deaths; ++round) {
        std::vector<hand_made> operations(waiting);
        census frames(waiting);
        auto crowd = std::make_unique<TypeParam>();
        int_map map(crowd->where());
        for (std::size_t i = 0; i != waiting; ++i) {
            map.spawn(static_cast<int>(i), [&, i, token = frames.enter(i)]() -> task<int> {
                co_await operations[i].async_wait(asio::deferred);
                co_return 1;
            });
        }
        wait_until([&] { return std::ranges::all_of(operations, is_waiting); });
        const auto end_some_one_by_one = [&] {
            for (std::size_t i = 0; i != waiting; i += 2) {
                tarry(static_cast<int>(round) * 20); // so that some end before, some at that moment, and some after
                operations[i].end({});
            }
        };
        this->rival_.race(end_some_one_by_one, [&] { crowd.reset(); });
        for (std::size_t i = 0; i != waiting; ++i) {
            const int_map::joined next = this->join_without_executor(map);
            if (next.result)
                continue;
            ASSERT_TRUE(next.result.error().is_cancelled());
            ASSERT_EQ(next.result.error().reason(), cancel_reason::executor_gone);
        }
        ASSERT_TRUE(map.empty());
        ASSERT_TRUE(frames.all_gone_once());
    }
}

TYPED_TEST(ExecutorGone, JoinsThatAreWokenAtThatMomentEndWithTheirTasks)
{
    constexpr std::size_t joins = 16;
    const auto is_waiting = [](const hand_made& each) { return each.waits(); };
    for (std::size_t round = 0; round != deaths; ++round) {
        std::vector<hand_made> operations(joins);
        std::vector<abort_handle> inner_tasks(joins);
        census frames(2 * joins);
        auto crowd = std::make_unique<TypeParam>();
        int_map map(crowd->where());
        for (std::size_t i = 0; i != joins; ++i) {
            map.spawn(static_cast<int>(i), [&, this, i, token = frames.enter(2 * i)]() -> task<int> {
                int_map inner(this->elsewhere_);
                inner_tasks[i] = inner.spawn(0, [&, i, inner_token = frames.enter(2 * i + 1)]() -> task<int> {
                    co_await operations[i].async_wait(asio::deferred);
                    co_return 1;
                });
                co_await inner.async_join_next();
                co_return 1;
            });
        }
        wait_until([&] { return std::ranges::all_of(operations, is_waiting); });
        const auto end_one_by_one = [&] {
            for (hand_made& each : operations) {
                tarry(static_cast<int>(round) * 20); // so that some end before, some at that moment, and some after
                each.end({});
            }
        };
        this->rival_.race(end_one_by_one, [&] { crowd.reset(); });
        for (std::size_t i = 0; i != joins; ++i)
            this->join_without_executor(map);
        wait_until([&] { return std::ranges::all_of(inner_tasks, &abort_handle::is_finished); });
        ASSERT_TRUE(frames.all_gone_once());
    }
}

// -- the runtime alone ---------------------------------------------------------------------------------------------

TEST(ContextDestruction, LeavesAnOwnerFreeToUseOtherExecutorsMeanwhile)
{
    const watchdog no_hang;
    asio::io_context staying;
    for (std::size_t round = 0; round != deaths; ++round) {
        auto own = std::make_unique<asio::io_context>();
        auto other = std::make_unique<asio::io_context>();
        join_set<int> set(own->get_executor());
        set.spawn(never_ends());
        set.spawn_on(*other, never_ends());
        std::latch both(2);
        std::thread end([&] {
            both.arrive_and_wait();
            other.reset();
            own.reset();
        });
        both.arrive_and_wait();
        for (int i = 0; i != 20; ++i)
            set.spawn_on(asio::make_strand(staying), never_ends());
        static_cast<void>(set.get_executor());
        end.join();
        EXPECT_EQ(set.abort_all(), 20u);
        EXPECT_EQ(set.size(), 22u);
    }
}

TEST(RuntimeDestruction, ARaceOfAbortsFindsNothingThatIsGone)
{
    const watchdog no_hang;
    rival other;
    for (std::size_t round = 0; round != 2'000; ++round) {
        auto workers = std::make_unique<runtime>(1);
        int_map map(*workers);
        const abort_handle first = map.spawn(0, never_ends());
        const abort_handle second = map.spawn(1, never_ends());
        if (round % 2 == 0)
            workers->block_on([]() -> task<> { co_await this_task::yield(); }); // they sleep, and so does the worker
        other.race([&] { (first.abort(), second.abort()); }, [&] { workers.reset(); });
        wait_until([&] { return first.is_finished() && second.is_finished(); });
    }
}

TEST(RuntimeDestruction, ATaskMayOwnWhatBelongsToAnotherWorker)
{
    const watchdog no_hang;
    auto workers = std::make_unique<runtime>(2);
    join_set<asio::any_io_executor> both(*workers);
    std::latch together(2);
    for (int i = 0; i != 2; ++i) {
        both.spawn([&]() -> task<asio::any_io_executor> {
            together.arrive_and_wait(); // so each is on a worker of its own
            co_return co_await asio::this_coro::executor;
        });
    }
    const asio::any_io_executor one = *both.async_join_next(asio::use_future).get()->result;
    const asio::any_io_executor other = *both.async_join_next(asio::use_future).get()->result;
    ASSERT_NE(one, other);
    census frames(2);
    std::latch begun(2);
    join_map<int, void> map(*workers);
    const auto own = [&](asio::any_io_executor its, std::size_t index) -> task<> {
        const census::token token = frames.enter(index);
        const asio::steady_timer owned(its);
        begun.count_down();
        co_await this_task::sleep_for(1h);
    };
    map.spawn_on(one, 0, own(other, 0));
    map.spawn_on(other, 1, own(one, 1));
    begun.wait();
    workers.reset();
    EXPECT_TRUE(frames.all_gone_once());
}

TEST(RuntimeDestruction, ABlockingFunctionMayOwnWhatBelongsToAWorker)
{
    const watchdog no_hang;
    auto workers = std::make_unique<runtime>(1);
    join_map<int, void> map(*workers);
    const auto home =
        workers->block_on([]() -> task<asio::any_io_executor> { co_return co_await asio::this_coro::executor; });
    std::latch begun(1);
    map.spawn_blocking(0, [&begun, owned = std::make_unique<asio::steady_timer>(home)](std::stop_token stop) {
        begun.count_down();
        wait_until([&] { return stop.stop_requested(); });
    });
    begun.wait();
    workers.reset();
    const auto next = map.try_join_next();
    ASSERT_TRUE(next);
    EXPECT_TRUE(next->result.has_value());
}

} // namespace
} // namespace joinery::test
