// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What holds for a spawn with options in whichever way it is made, and when it throws.

#include <joinery/blocking_pool.hpp>
#include <joinery/error.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/spawn_options.hpp>

#include <allocations.hpp>
#include <brittle_key.hpp>
#include <counting_executor.hpp>
#include <ended.hpp>
#include <run.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

// -- each way to spawn ---------------------------------------------------------------------------------------------

/// Where tasks may be spawned, and an old one under the key 1.
struct spawn_places {
    asio::io_context context;
    asio::io_context elsewhere;
    blocking_pool pool;
    local_set local;
    join_map<int, int> map{context};
    manual_event late{context.get_executor(), when_cancelled::goes_on};
    std::atomic<int> entered{0};
};

using way_to_spawn = std::function<spawned(spawn_places&, const spawn_options&)>;

/// A function that takes note of being entered.
auto enter_at(spawn_places& at)
{
    return [&at] { return ++at.entered; };
}

const std::pair<const char*, way_to_spawn> ways_to_spawn[] = {
    {"Spawn", [](spawn_places& at, const spawn_options& options) { return at.map.spawn(1, enter_at(at), options); }},
    {"SpawnOn", [](spawn_places& at,
                   const spawn_options& options) { return at.map.spawn_on(at.elsewhere, 1, enter_at(at), options); }},
    {"SpawnBlocking",
     [](spawn_places& at, const spawn_options& options) { return at.map.spawn_blocking(1, enter_at(at), options); }},
    {"SpawnBlockingStoppable",
     [](spawn_places& at, const spawn_options& options) {
         return at.map.spawn_blocking(1, [&at](std::stop_token) { return ++at.entered; }, options);
     }},
    {"SpawnBlockingOn",
     [](spawn_places& at, const spawn_options& options) {
         return at.map.spawn_blocking_on(at.pool, 1, enter_at(at), options);
     }},
    {"SpawnLocal",
     [](spawn_places& at, const spawn_options& options) {
         return at.local.run_until([&] { return at.map.spawn_local(1, enter_at(at), options); });
     }},
    {"SpawnLocalOn",
     [](spawn_places& at, const spawn_options& options) {
         return at.map.spawn_local_on(at.local, 1, enter_at(at), options);
     }},
};

class EachWayToSpawn : public testing::TestWithParam<std::pair<const char*, way_to_spawn>> {
protected:
    void SetUp() override
    {
        at.map.spawn(1, wait(at.late, 10));
        poll(at.context);
    }

    spawned spawn(const spawn_options& options)
    {
        return GetParam().second(at, options);
    }

    /// Runs everything until a task has ended.
    void run_until_ended(const abort_handle& task)
    {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!task.is_finished() && std::chrono::steady_clock::now() < deadline) {
            run_all();
            std::this_thread::yield();
        }
        EXPECT_TRUE(task.is_finished());
    }

    /// The outcome of a task that has ended. On a thread of a pool it has not come within that moment.
    std::optional<decltype(spawn_places::map)::joined> join_next()
    {
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < deadline) {
            if (auto next = at.map.try_join_next())
                return next;
            std::this_thread::yield();
        }
        ADD_FAILURE() << "no outcome comes";
        return std::nullopt;
    }

    void run_all()
    {
        poll(at.context);
        poll(at.elsewhere);
        at.local.run_until([]() -> task<> { co_await this_task::yield(); });
    }

    spawn_places at;
};

INSTANTIATE_TEST_SUITE_P(, EachWayToSpawn, testing::ValuesIn(ways_to_spawn),
                         [](const auto& each) { return std::string(each.param.first); });

TEST_P(EachWayToSpawn, KeepsTheOldTaskIfToldTo)
{
    const spawned kept = spawn({.conflict = on_conflict::keep});
    EXPECT_EQ(kept.outcome, spawn_outcome::kept);
    EXPECT_EQ(kept.handle.id(), at.map.find(1)->id());
    at.late.complete();
    run_until_ended(kept.handle);
    run_all();
    EXPECT_EQ(at.entered, 0);
    EXPECT_EQ(at.map.try_join_next()->result.value(), 10);
}

TEST_P(EachWayToSpawn, WaitsForTheOldTaskIfToldTo)
{
    const spawned next = spawn({.conflict = on_conflict::replace_after_exit});
    EXPECT_EQ(next.outcome, spawn_outcome::queued);
    run_all();
    EXPECT_EQ(at.entered, 0);
    at.late.complete();
    run_until_ended(next.handle);
    EXPECT_EQ(at.entered, 1);
    const auto joined = join_next();
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->id, next.handle.id());
    EXPECT_EQ(joined->result.value(), 1);
}

TEST_P(EachWayToSpawn, IsAbortedWhileItWaitsWithoutBeingEntered)
{
    const spawned next = spawn({.conflict = on_conflict::queue_latest});
    EXPECT_EQ(at.map.size(), 2u);
    next.handle.abort();
    run_until_ended(next.handle);
    EXPECT_EQ(cancelled_as(join_next()->result), cancel_reason::aborted);
    at.late.complete();
    run_all();
    EXPECT_EQ(join_next()->result.value(), 10);
    EXPECT_EQ(at.entered, 0);
}

TEST_P(EachWayToSpawn, StartsAfterItsDelay)
{
    const spawned next = spawn({.delay = std::chrono::nanoseconds(1)});
    EXPECT_EQ(next.outcome, spawn_outcome::queued);
    EXPECT_EQ(at.entered, 0);
    run_until_ended(next.handle);
    EXPECT_EQ(join_next()->result.value(), 1);
    at.late.complete();
    run_all();
}

TEST_P(EachWayToSpawn, IsRefusedWhenTheMapIsClosed)
{
    at.map.close();
    try {
        spawn({});
        ADD_FAILURE();
    } catch (const boost::system::system_error& refused) {
        EXPECT_EQ(refused.code(), errc::closed);
    }
    EXPECT_EQ(at.map.size(), 1u);
    at.late.complete();
    run_all();
    EXPECT_EQ(join_next()->result.value(), 10);
    EXPECT_EQ(at.entered, 0);
}

// -- when it throws ------------------------------------------------------------------------------------------------

struct SpawnRulesThrow : testing::TestWithParam<on_conflict> {
    using map_type = join_map<brittle_key, int, brittle_hash, brittle_equal>;

    brittle_key key(int value)
    {
        return brittle_key(value, faults);
    }

    void expect_as_before()
    {
        faults = {};
        poll(context);
        EXPECT_EQ(map.size(), 1u);
        EXPECT_EQ(map.find(key(1))->id(), old.id());
        EXPECT_EQ(late.cancellations(), cancellations);
        EXPECT_EQ(alive.use_count(), 1);
        EXPECT_FALSE(map.try_join_next());
    }

    /// Lets the first, the second … of something fail until the spawn succeeds; then the new task comes to its end.
    template<class Arm>
    int fail_each(Arm arm, const spawn_options& options)
    {
        old = map.spawn(key(1), wait(late, 10));
        poll(context);
        cancellations = late.cancellations();
        for (int count = 1; count != 100; ++count) {
            try {
                auto work = [here = alive] { return 2; };
                [[maybe_unused]] const auto armed = arm(count);
                map.spawn(key(1), std::move(work), options);
                faults = {};
            } catch (const injected_fault&) {
                expect_as_before();
                continue;
            } catch (const std::bad_alloc&) {
                expect_as_before();
                continue;
            }
            EXPECT_EQ(map.spawn(key(1), give(3), {.conflict = on_conflict::keep}).outcome, spawn_outcome::kept);
            map.abort_all();
            late.complete();
            run(context);
            map.detach_all();
            EXPECT_EQ(alive.use_count(), 1);
            return count - 1;
        }
        ADD_FAILURE() << "it never succeeds";
        return 0;
    }

    key_faults faults;
    std::shared_ptr<int> alive = std::make_shared<int>(); // shared by the work that is there
    asio::io_context context;
    map_type map{context};
    manual_event late{context.get_executor(), when_cancelled::goes_on};
    abort_handle old;
    int cancellations = 0; // of earlier tasks
};

constexpr const char* policy_names[] = {"Replace", "Keep", "ReplaceAfterExit", "QueueLatest"};

INSTANTIATE_TEST_SUITE_P(, SpawnRulesThrow,
                         testing::Values(on_conflict::replace, on_conflict::keep, on_conflict::replace_after_exit,
                                         on_conflict::queue_latest),
                         [](const auto& each) { return std::string(policy_names[static_cast<int>(each.param)]); });

TEST_P(SpawnRulesThrow, WhatTheKeyThrowsChangesNothing)
{
    for (const bool stays : {false, true}) {
        const spawn_options options{.conflict = GetParam(), .join_replaced = stays};
        const auto arm = [](fault& armed) {
            return [&armed](int count) {
                armed.arm(count);
                return count;
            };
        };
        EXPECT_GT(fail_each(arm(faults.hash), options), 0);
        EXPECT_GT(fail_each(arm(faults.equal), options), 0);
        const int moves = fail_each(arm(faults.move), options);
        EXPECT_EQ(moves > 0, GetParam() != on_conflict::keep && (stays || GetParam() == on_conflict::queue_latest));
    }
}

TEST_P(SpawnRulesThrow, WhatCannotBeAllocatedChangesNothing)
{
    if (!allocations_are_ours)
        GTEST_SKIP() << "the sanitizer has its own operator new";
    const auto arm = [](int count) { return failing_allocations(static_cast<std::size_t>(count) - 1); };
    for (const bool stays : {false, true}) {
        EXPECT_GT(fail_each(arm, {.conflict = GetParam(), .join_replaced = stays}), 0);
        EXPECT_GT(fail_each(arm, {.conflict = GetParam(),
                                  .delay = std::chrono::hours(1),
                                  .deadline = std::chrono::steady_clock::now() + std::chrono::hours(1),
                                  .join_replaced = stays}),
                  0);
    }
}

TEST(SpawnRules, AnExecutorThatRefusesTheNewTaskLeavesTheOldOneAsItWas)
{
    for (const bool stays : {false, true}) {
        asio::io_context context;
        executor_record executor;
        join_map<int, int> map(serial_counting_executor(context, executor));
        const abort_handle old = map.spawn(1, give(1));
        run(context);
        executor.refuses = true;
        const auto far = std::chrono::steady_clock::now() + std::chrono::hours(1);
        EXPECT_THROW(map.spawn(1, give(2), {.deadline = far, .join_replaced = stays}), executor_refused);
        executor.refuses = false;
        EXPECT_EQ(map.size(), 1u);
        EXPECT_EQ(map.find(1)->id(), old.id());
        run(context); // whose timer has nothing to wait for
        EXPECT_EQ(map.try_join_next()->result.value(), 1);
        EXPECT_FALSE(map.try_join_next());
    }
}

TEST(SpawnRules, AnErrorSaysWhatItMeans)
{
    const boost::system::error_code closed = errc::closed;
    const boost::system::error_code full = errc::full;
    EXPECT_NE(closed, full);
    EXPECT_NE(closed.message(), full.message());
    EXPECT_STREQ(closed.category().name(), "joinery");
    std::ostringstream out;
    out << spawn_outcome::started << ' ' << spawn_outcome::replaced << ' ' << spawn_outcome::queued << ' '
        << spawn_outcome::kept;
    EXPECT_EQ(out.str(), "started replaced queued kept");
}

} // namespace
