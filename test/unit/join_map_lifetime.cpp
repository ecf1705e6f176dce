// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/block_on.hpp>
#include <joinery/join_map.hpp>

#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

using error_code = boost::system::error_code;

// -- the frame ---------------------------------------------------------------------------------------------

TEST(JoinMapLifetime, TheFrameIsGoneBeforeTheTaskCountsAsFinished)
{
    journal frame;
    journal values;
    asio::io_context context;
    join_map<int, tracked> map(context);
    abort_handle handle;
    const auto unfinished = [&] { EXPECT_FALSE(handle.is_finished()); };
    const auto work = [&](tracked parameter) -> task<tracked> {
        const tracked local(frame, "local", unfinished);
        co_await this_task::yield();
        co_return tracked(values, parameter.name());
    };
    handle = map.spawn(1, [&, captured = tracked(frame, "captured", unfinished)] {
        return work(tracked(frame, "parameter", unfinished));
    });
    poll(context);
    EXPECT_TRUE(handle.is_finished());
    EXPECT_EQ(frame.ended(), (std::vector<std::string>{"local", "parameter", "captured"}));
    EXPECT_EQ(values.alive(), 1);
    EXPECT_EQ(map.try_join_next()->result->name(), "parameter");
}

TEST(JoinMapLifetime, TheFrameOfAnAwaitableAndTheOneOfAFailedTaskAreGoneToo)
{
    journal frame;
    asio::io_context context;
    join_map<int, int> map(context);
    map.spawn(1, [&, captured = tracked(frame)]() -> asio::awaitable<int> {
        const tracked local(frame);
        co_return 1;
    });
    map.spawn(2, [&, captured = tracked(frame)]() -> task<int> {
        const tracked local(frame);
        throw std::runtime_error("mine");
        co_return 2;
    });
    map.spawn(3, [&, captured = tracked(frame)] { return 3; });
    run(context);
    EXPECT_EQ(map.size(), 3u);
    EXPECT_EQ(frame.begun(), 5);
    EXPECT_EQ(frame.alive(), 0);
}

TEST(JoinMapLifetime, AFunctionLivesAsLongAsTheTaskThatItReturned)
{
    journal captures;
    asio::io_context context;
    join_map<int, int> map(context);
    manual_event event(context.get_executor());
    const auto spawn = [&](int key, auto returning) {
        map.spawn(key,
                  [&event, returning, captured = tracked(captures, "alive")] { return returning(event, captured); });
    };
    spawn(1, [](manual_event& e, const tracked& captured) -> task<int> {
        co_await e.async_wait();
        EXPECT_EQ(captured.name(), "alive");
        co_return 1;
    });
    poll(context);
    EXPECT_EQ(captures.alive(), 1);
    event.complete();
    poll(context);
    EXPECT_EQ(captures.alive(), 0);
    spawn(2, [](manual_event& e, const tracked& captured) -> asio::awaitable<int> {
        co_await e.async_wait(asio::use_awaitable);
        EXPECT_EQ(captured.name(), "alive");
        co_return 2;
    });
    poll(context);
    EXPECT_EQ(captures.alive(), 1);
    event.complete();
    poll(context);
    EXPECT_EQ(captures.alive(), 0);
}

// The parts of a frame go where the task ran, on whatever thread it was aborted.
TEST(JoinMapLifetime, TheFrameIsDestroyedOnItsHomeExecutor)
{
    journal frames;
    asio::io_context context;
    join_map<int, int> map(context);
    for (int i = 0; i != 3; ++i)
        map.spawn(i, hold(tracked(frames)));
    poll(context);
    std::thread([&] { map.abort_all(); }).join();
    EXPECT_EQ(frames.alive(), 3);
    run(context);
    EXPECT_EQ(frames.threads(), std::vector(3, std::this_thread::get_id()));
}

TEST(JoinMapLifetime, FramesOfALocalSetThatNeverStartedAreDestroyedOnItsThread)
{
    journal frames;
    asio::io_context context;
    join_map<int, int> map(context);
    local_set local;
    for (int i = 0; i != 3; ++i)
        map.spawn_local_on(local, i, hold(tracked(frames)));
    std::thread([&] { map.abort_all(); }).join();
    EXPECT_EQ(frames.alive(), 3);
    local.run();
    EXPECT_EQ(frames.threads(), std::vector(3, std::this_thread::get_id()));
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
}

// -- the destructor ----------------------------------------------------------------------------------------

TEST(JoinMapDestructor, AbortsEveryTaskAndWaitsForNone)
{
    journal frames;
    journal values;
    asio::io_context context;
    manual_event late(context.get_executor(), when_cancelled::goes_on);
    bool entered = false;
    std::vector<abort_handle> handles;
    {
        join_map<int, tracked> map(context);
        handles.push_back(map.spawn(1, [&] { return tracked(values); }));
        poll(context);
        handles.push_back(map.spawn(2, [&, held = tracked(frames)]() -> task<tracked> {
            co_await late.async_wait();
            co_return tracked(values);
        }));
        handles.push_back(map.spawn(3, [&, held = tracked(frames)]() -> task<tracked> {
            co_await this_task::sleep_for(24h);
            co_return tracked(values);
        }));
        poll(context);
        handles.push_back(map.spawn(4, [&] {
            entered = true;
            return tracked(values);
        }));
    }
    EXPECT_EQ(values.alive(), 0);
    EXPECT_FALSE(handles[1].is_finished());
    poll(context);
    EXPECT_EQ(late.cancellations(), 1);
    EXPECT_FALSE(entered);
    EXPECT_EQ(frames.alive(), 1);
    EXPECT_FALSE(handles[1].is_finished());
    late.complete(); // the task owns what it needs to finish after its map
    poll(context);
    EXPECT_EQ(frames.alive(), 0);
    for (const abort_handle& handle : handles)
        EXPECT_TRUE(handle.is_finished());
    EXPECT_EQ(values.begun(), 1);
}

TEST(JoinMapDestructor, TheValueOfATaskThatOutlivesItsMapIsDropped)
{
    journal values;
    asio::io_context context;
    manual_event late(context.get_executor(), when_cancelled::goes_on);
    {
        join_map<int, tracked> map(context);
        map.spawn(1, [&]() -> asio::awaitable<tracked> {
            co_await late.async_wait(asio::use_awaitable);
            co_return tracked(values);
        });
        poll(context);
    }
    poll(context);
    late.complete();
    run(context);
    EXPECT_EQ(values.begun(), 1);
    EXPECT_EQ(values.alive(), 0);
}

TEST(JoinMapDestructor, MayRunInsideOneOfTheMapsTasks)
{
    journal frames;
    asio::io_context context;
    auto map = std::make_unique<join_map<int, int>>(context);
    bool passed = false;
    const abort_handle self = map->spawn(1, [&, held = tracked(frames)]() -> task<int> {
        const tracked local(frames);
        map.reset();
        EXPECT_EQ(local.name(), "");
        EXPECT_TRUE(co_await this_task::abort_requested());
        passed = true;
        co_await this_task::yield();
        ADD_FAILURE() << "resumed";
        co_return 1;
    });
    const abort_handle other = map->spawn(2, hold(tracked(frames)));
    const abort_handle ends = map->spawn(3, [] { return 3; });
    run(context);
    EXPECT_TRUE(passed);
    EXPECT_TRUE(self.is_finished());
    EXPECT_TRUE(other.is_finished());
    EXPECT_TRUE(ends.is_finished());
    EXPECT_EQ(frames.alive(), 0);
}

TEST(JoinMapDestructor, MayRunInATaskThatHasNothingMoreToDo)
{
    asio::io_context context;
    auto map = std::make_unique<join_map<int, int>>(asio::make_strand(context));
    const abort_handle self = map->spawn(1, [&] {
        map.reset();
        return 1;
    });
    run(context);
    EXPECT_TRUE(self.is_finished());
}

TEST(JoinMapDestructor, MayRunWithinTheHandlerOfAJoin)
{
    asio::io_context context;
    auto map = std::make_unique<join_map<int, int>>(context);
    map->spawn(1, give(1));
    const abort_handle other = map->spawn(2, wait_forever());
    error_code second;
    map->async_join_next([&](error_code, auto) { map.reset(); });
    map->async_join_next([&](error_code error, auto) { second = error; });
    run(context);
    EXPECT_FALSE(map);
    EXPECT_TRUE(other.is_finished());
    EXPECT_EQ(second, asio::error::operation_aborted);
}

TEST(JoinMapDestructor, MayRunWithinTheDestructorOfATasksFrameOrOfAValue)
{
    journal ends;
    asio::io_context context;
    auto map = std::make_unique<join_map<int, tracked>>(context);
    const auto destroy = [&] { map.reset(); };
    map->spawn(1, [&, held = tracked(ends, "frame", destroy)]() -> task<tracked> { co_return tracked(ends, "value"); });
    run(context);
    EXPECT_FALSE(map);
    EXPECT_EQ(ends.ended(), (std::vector<std::string>{"frame", "value"}));

    map = std::make_unique<join_map<int, tracked>>(context);
    map->spawn(1, [&] { return tracked(ends, "old", destroy); });
    run(context);
    map->spawn(1, [&] { return tracked(ends, "new"); }); // drops the old value, and with it the map
    EXPECT_FALSE(map);
    run(context);
    EXPECT_EQ(ends.alive(), 0);
}

// -- forgetting and moving -----------------------------------------------------------------------------------

TEST(JoinMapDetachAll, TheTasksRunOnAndTheirValuesAreDropped)
{
    journal values;
    asio::io_context context;
    int ended = 0;
    {
        join_map<int, tracked> map(context);
        manual_event event(context.get_executor());
        map.spawn(1, [&] { return tracked(values, "finished"); });
        run(context);
        map.spawn(2, [&]() -> task<tracked> {
            co_await event.async_wait();
            ++ended;
            co_return tracked(values, "waiting");
        });
        poll(context);
        map.spawn(3, [&] {
            ++ended;
            return tracked(values, "queued");
        });
        map.detach_all();
        EXPECT_TRUE(map.empty());
        EXPECT_FALSE(map.contains(2));
        EXPECT_EQ(values.ended(), std::vector<std::string>{"finished"});
        event.complete();
        EXPECT_EQ(map.abort_all(), 0u);
        map.spawn(2, [&] { return tracked(values, "new"); });
    }
    run(context);
    EXPECT_EQ(ended, 2);
    EXPECT_EQ(values.begun(), 3);
    EXPECT_EQ(values.alive(), 0);
}

TEST(JoinMapDetachAll, AHandleStillReachesTheTask)
{
    journal frames;
    asio::io_context context;
    join_map<int, int> map(context);
    const abort_handle handle = map.spawn(1, hold(tracked(frames)));
    poll(context);
    map.detach_all();
    poll(context);
    EXPECT_EQ(frames.alive(), 1);
    EXPECT_TRUE(handle.abort());
    poll(context);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_TRUE(handle.is_finished());
}

TEST(JoinMapDetachAll, AHandleKeepsNoValueAlive)
{
    journal values;
    asio::io_context context;
    join_map<int, tracked> map(context);
    const abort_handle finished = map.spawn(1, [&] { return tracked(values); });
    run(context);
    const abort_handle queued = map.spawn(2, [&] { return tracked(values); });
    map.detach_all();
    EXPECT_EQ(values.alive(), 0);
    run(context);
    EXPECT_EQ(values.begun(), 2);
    EXPECT_EQ(values.alive(), 0);
}

TEST(JoinMapMove, TheTasksGoWithTheMap)
{
    asio::io_context context;
    join_map<int, int> first(context);
    const abort_handle handle = first.spawn(1, give(1));
    join_map<int, int> second(std::move(first));
    run(context);
    EXPECT_TRUE(second.contains_task(handle.id()));
    EXPECT_EQ(second.try_join_next()->result.value(), 1);
}

TEST(JoinMapMove, AWaitingJoinGoesWithTheMap)
{
    asio::io_context context;
    std::optional<join_map<int, int>> first(context);
    std::optional<int> joined;
    first->spawn(1, give(1));
    first->async_join_next([&](error_code, auto next) { joined = next->key; });
    const join_map<int, int> second(std::move(*first));
    first.reset();
    run(context);
    EXPECT_EQ(joined, 1);
}

TEST(JoinMapMove, TheMapThatIsAssignedToAbortsItsOwnTasks)
{
    journal frames;
    asio::io_context context;
    join_map<int, int> target(context);
    join_map<int, int> source(context);
    const abort_handle old = target.spawn(1, hold(tracked(frames)));
    const abort_handle kept = source.spawn(2, wait_forever());
    error_code error;
    target.async_join_next([&](error_code e, auto) { error = e; });
    poll(context);
    target = std::move(source);
    poll(context);
    EXPECT_EQ(error, asio::error::operation_aborted);
    EXPECT_TRUE(old.is_finished());
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_FALSE(kept.is_finished());
    EXPECT_EQ(target.keys(), std::vector{2});
    source = join_map<int, int>(context);
    EXPECT_TRUE(source.empty());
}

} // namespace
