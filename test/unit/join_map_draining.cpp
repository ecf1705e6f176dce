// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

using error_code = boost::system::error_code;
using map_type = join_map<int, int>;
using joined_type = std::optional<map_type::joined>;

// -- shutdown ------------------------------------------------------------------------------------------------------

/// A map with a task that obeys an abort, one that ends when `late` completes, and one that has finished.
struct JoinMapShutdown : testing::Test {
    JoinMapShutdown()
    {
        map.spawn(1, [this, held = tracked(frames)]() -> task<tracked> {
            co_await this_task::sleep_forever();
            co_return tracked(values);
        });
        map.spawn(2, [this, held = tracked(frames)]() -> task<tracked> {
            co_await late.async_wait();
            co_return tracked(values);
        });
        map.spawn(3, [this] { return tracked(values); });
        poll(context);
    }

    /// A handler that notes that, and how, the operation ended.
    auto note()
    {
        return [this](error_code error) { ended.push_back(error); };
    }

    journal frames;
    journal values;
    asio::io_context context;
    manual_event late{context.get_executor(), when_cancelled::goes_on};
    join_map<int, tracked> map{context};
    std::vector<error_code> ended;
    const std::vector<error_code> well{error_code()};
};

TEST_F(JoinMapShutdown, AbortsEveryTaskAndWaitsUntilAllHaveEnded)
{
    bool entered = false;
    map.spawn(4, [&] {
        entered = true;
        return tracked(values);
    });
    map.async_shutdown(note());
    poll(context);
    EXPECT_FALSE(entered);
    EXPECT_EQ(frames.alive(), 1);
    EXPECT_EQ(late.cancellations(), 1);
    EXPECT_TRUE(ended.empty());
    late.complete();
    run(context);
    EXPECT_EQ(ended, well);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(values.begun(), 1);
}

TEST_F(JoinMapShutdown, LeavesTheMapEmptyAtOnce)
{
    map.async_shutdown(note());
    EXPECT_TRUE(map.empty());
    EXPECT_FALSE(map.contains(2));
    EXPECT_FALSE(map.try_join_next());
    EXPECT_EQ(map.abort_all(), 0u);
    EXPECT_EQ(values.alive(), 0); // what nobody has joined is destroyed
    late.complete();
    run(context);
    EXPECT_TRUE(map.empty());
    EXPECT_FALSE(map.try_join_next());
}

TEST_F(JoinMapShutdown, WaitsForReplacedTasksToo)
{
    map.spawn(2, [this] { return tracked(values); });
    poll(context);
    map.async_shutdown(note());
    poll(context);
    EXPECT_TRUE(ended.empty());
    late.complete();
    run(context);
    EXPECT_EQ(ended, well);
}

TEST_F(JoinMapShutdown, DoesNotWaitForDetachedTasks)
{
    map.detach_all();
    map.async_shutdown(note());
    run(context);
    EXPECT_EQ(ended, well);
    EXPECT_EQ(frames.alive(), 2);
    EXPECT_EQ(late.cancellations(), 0);
}

TEST_F(JoinMapShutdown, LetsJoinsThatWaitHearThatTheMapIsEmpty)
{
    map.try_join_next();
    std::vector<bool> joined;
    for (int i = 0; i != 2; ++i) {
        map.async_join_next([&](error_code error, auto next) {
            EXPECT_FALSE(error);
            joined.push_back(next.has_value());
        });
    }
    map.async_shutdown(note());
    EXPECT_TRUE(joined.empty());
    poll(context);
    EXPECT_EQ(joined, (std::vector{false, false}));
    late.complete();
    run(context);
    EXPECT_EQ(ended, well);
}

TEST_F(JoinMapShutdown, TwiceAtOnceEndsTwice)
{
    map.async_shutdown(note());
    map.async_shutdown(note());
    poll(context);
    EXPECT_TRUE(ended.empty());
    late.complete();
    run(context);
    EXPECT_EQ(ended, (std::vector<error_code>{{}, {}}));
    map.async_shutdown(note());
    run(context);
    EXPECT_EQ(ended.size(), 3u);
}

TEST_F(JoinMapShutdown, LeavesAloneWhatIsSpawnedWhileItWaits)
{
    map.async_shutdown(note());
    const abort_handle fresh = map.spawn(2, [this] { return tracked(values, "fresh"); });
    const abort_handle waiting = map.spawn(3, [this]() -> task<tracked> {
        co_await this_task::sleep_forever();
        co_return tracked(values);
    });
    late.complete();
    run(context);
    EXPECT_EQ(ended, well); // which waits for neither
    EXPECT_FALSE(waiting.is_finished());
    EXPECT_EQ(map.size(), 2u);
    const auto joined = map.try_join_next();
    EXPECT_EQ(joined->id, fresh.id());
    EXPECT_EQ(joined->result->name(), "fresh");
}

TEST_F(JoinMapShutdown, WhenCancelledLeavesTheTasksAbortedAndCanBeAskedAgain)
{
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial, asio::cancellation_type::total}) {
        asio::cancellation_signal signal;
        ended.clear();
        map.async_shutdown(asio::bind_cancellation_slot(signal.slot(), note()));
        poll(context);
        EXPECT_TRUE(ended.empty());
        signal.emit(type);
        poll(context);
        EXPECT_EQ(ended, std::vector<error_code>{asio::error::operation_aborted});
    }
    EXPECT_EQ(frames.alive(), 1);
    ended.clear();
    map.async_shutdown(note());
    poll(context);
    EXPECT_TRUE(ended.empty());
    late.complete();
    run(context);
    EXPECT_EQ(ended, well);
    EXPECT_EQ(frames.alive(), 0);
}

TEST_F(JoinMapShutdown, IsAwaitedByATaskOfAnotherMapThatMayBeAborted)
{
    join_map<int, void> owners(context);
    const abort_handle owner = owners.spawn(1, [&]() -> task<> { co_await map.async_shutdown(); });
    poll(context);
    owner.abort();
    poll(context);
    EXPECT_TRUE(owner.is_finished());
    owners.spawn(2, [&]() -> task<> { co_await map.async_shutdown(); });
    poll(context);
    EXPECT_EQ(owners.try_join_next()->key, 1);
    EXPECT_FALSE(owners.try_join_next());
    late.complete();
    run(context);
    EXPECT_TRUE(owners.try_join_next()->result.has_value());
}

TEST_F(JoinMapShutdown, ATaskOfTheMapThatAwaitsItIsAbortedToo)
{
    map.spawn(4, [&, held = tracked(frames)]() -> task<tracked> {
        co_await map.async_shutdown();
        ADD_FAILURE() << "resumed";
        co_return tracked(values);
    });
    poll(context);
    EXPECT_TRUE(map.empty());
    EXPECT_EQ(frames.alive(), 1);
    late.complete();
    run(context);
    EXPECT_EQ(frames.alive(), 0);
}

// -- ten thousand --------------------------------------------------------------------------------------------------

/// Joins ten thousand results that are ready, in three styles, beside a handler and a timer that come later.
struct JoinMapManyReady : testing::Test {
    static constexpr int many = 10'000;

    JoinMapManyReady()
    {
        for (int i = 0; i != many; ++i)
            map.spawn(i, give(i));
        run(context);
    }

    void count()
    {
        const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        lowest = std::min(lowest, here);
        highest = std::max(highest, here);
        ++joined;
    }

    void expect_that_others_get_their_turn()
    {
        int at_handler = -1;
        int at_timer = -1;
        asio::steady_timer timer(context, 0ms);
        timer.async_wait([&](error_code) { at_timer = joined; });
        asio::post(context, [&] { at_handler = joined; });
        run(context);
        EXPECT_EQ(joined, many);
        EXPECT_LT(at_handler, many / 10);
        EXPECT_LT(at_timer, many / 2);
        EXPECT_LT(highest - lowest, 16u * 1024) << "bytes of stack";
    }

    asio::io_context context;
    map_type map{context};
    int joined = 0;
    std::uintptr_t lowest = UINTPTR_MAX;
    std::uintptr_t highest = 0;
};

TEST_F(JoinMapManyReady, AreJoinedByCallbacksThatLetOthersRun)
{
    std::function<void(error_code, joined_type)> again = [&](error_code, const joined_type& next) {
        if (!next)
            return;
        count();
        map.async_join_next(again);
    };
    map.async_join_next(again);
    expect_that_others_get_their_turn();
}

TEST_F(JoinMapManyReady, AreJoinedByAnAwaitableThatLetsOthersRun)
{
    const auto loop = [&]() -> asio::awaitable<void> {
        while (co_await map.async_join_next())
            count();
    };
    asio::co_spawn(context, loop, asio::detached);
    expect_that_others_get_their_turn();
}

TEST_F(JoinMapManyReady, AreJoinedByATaskThatLetsOthersRun)
{
    for (const bool serial : {false, true}) {
        SCOPED_TRACE(serial);
        join_map<int, void> owners(serial ? asio::any_io_executor(asio::make_strand(context)) : context.get_executor());
        owners.spawn(1, [&]() -> task<> {
            while (co_await map.async_join_next())
                count();
        });
        expect_that_others_get_their_turn();
        joined = 0;
        for (int i = 0; i != many; ++i)
            map.spawn(i, give(i));
        run(context);
    }
}

} // namespace
