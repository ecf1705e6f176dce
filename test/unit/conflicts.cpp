// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// What becomes of work that is spawned on a key in use.

#include <joinery/join_map.hpp>
#include <joinery/spawn_options.hpp>

#include <homes.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

constexpr spawn_options keep_the_old{.conflict = on_conflict::keep};
constexpr spawn_options after_exit{.conflict = on_conflict::replace_after_exit};
constexpr spawn_options latest{.conflict = on_conflict::queue_latest};

/// A map, an old task under the key 1 that an abort does not end before `late` does, and who takes note of being entered.
struct ConflictBase : testing::Test {
    auto enter(int value)
    {
        return [this, value] {
            entered.push_back(value);
            return value;
        };
    }

    auto enter(int value, journal& frames)
    {
        return [next = enter(value), here = tracked(frames)]() mutable { return next(); };
    }

    void spawn_old()
    {
        old = map.spawn(1, wait(late, 10));
        poll(context);
    }

    /// What is joined next, as its value, or minus one for a task that was replaced.
    std::optional<int> join()
    {
        const auto next = map.try_join_next();
        if (!next)
            return std::nullopt;
        EXPECT_TRUE(next->result || cancelled_as(next->result) == cancel_reason::replaced);
        return next->result ? *next->result : -1;
    }

    asio::io_context context;
    join_map<int, int> map{context};
    manual_event late{context.get_executor(), when_cancelled::goes_on};
    abort_handle old;
    std::vector<int> entered;
};

// -- replace ---------------------------------------------------------------------------------------------

struct ConflictReplace : ConflictBase {};

TEST_F(ConflictReplace, SaysWhetherThereWasSomethingToReplace)
{
    const spawned first = map.spawn(1, wait(late), spawn_options());
    EXPECT_EQ(first.outcome, spawn_outcome::started);
    EXPECT_EQ(map.find(1)->id(), first.handle.id());
    poll(context);
    const spawned second = map.spawn(1, give(2), spawn_options());
    EXPECT_EQ(second.outcome, spawn_outcome::replaced);
    poll(context);
    EXPECT_EQ(join(), 2); // beside the old one, which has not ended
    EXPECT_FALSE(first.handle.is_finished());
    late.complete();
    run(context);
    EXPECT_TRUE(map.empty());
    EXPECT_FALSE(join());
}

TEST_F(ConflictReplace, LeavesTheOldOneToBeJoinedIfAsked)
{
    spawn_old();
    map.spawn(1, give(2), {.join_replaced = true});
    EXPECT_EQ(late.cancellations(), 0);
    EXPECT_EQ(map.size(), 2u);
    EXPECT_TRUE(map.contains_task(old.id()));
    EXPECT_NE(map.find(1)->id(), old.id());
    poll(context);
    EXPECT_EQ(late.cancellations(), 1);
    EXPECT_EQ(join(), 2);
    EXPECT_FALSE(map.contains(1));
    EXPECT_EQ(map.size(), 1u);
    late.complete();
    run(context);
    EXPECT_EQ(join(), -1);
    EXPECT_TRUE(map.empty());
}

TEST_F(ConflictReplace, LeavesTheValueOfAnOldOneThatHadFinishedIfAsked)
{
    map.spawn(1, give(1));
    poll(context);
    EXPECT_EQ(map.spawn(1, give(2), {.join_replaced = true}).outcome, spawn_outcome::replaced);
    poll(context);
    EXPECT_EQ(join(), 1);
    EXPECT_EQ(join(), 2);
    EXPECT_FALSE(join());
}

TEST_F(ConflictReplace, IsWhatAnotherPolicyOfTheMapIsSetAsideFor)
{
    map.set_conflict_policy(on_conflict::keep);
    spawn_old();
    EXPECT_EQ(map.spawn(1, give(2)).id(), old.id());
    EXPECT_EQ(map.spawn(1, give(3), {.conflict = on_conflict::replace}).outcome, spawn_outcome::replaced);
    map.set_conflict_policy(on_conflict::replace);
    map.spawn(1, give(4));
    poll(context);
    EXPECT_EQ(join(), 4);
    EXPECT_FALSE(join());
    late.complete();
    run(context);
}

// -- keep ------------------------------------------------------------------------------------------------

struct ConflictKeep : ConflictBase {};

TEST_F(ConflictKeep, DestroysTheNewWorkUnstartedAndLeavesTheOldOneAlone)
{
    journal frames;
    spawn_old();
    const spawned kept = map.spawn(1, enter(2, frames), keep_the_old);
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(kept.outcome, spawn_outcome::kept);
    EXPECT_EQ(kept.handle.id(), old.id());
    EXPECT_EQ(map.size(), 1u);
    poll(context);
    EXPECT_EQ(late.cancellations(), 0);
    late.complete();
    run(context);
    EXPECT_EQ(join(), 10);
    EXPECT_FALSE(join());
    EXPECT_TRUE(entered.empty());
}

TEST_F(ConflictKeep, KeepsOneThatHasFinishedUntilItIsJoined)
{
    map.spawn(1, give(1));
    poll(context);
    EXPECT_EQ(map.spawn(1, enter(2), keep_the_old).outcome, spawn_outcome::kept);
    EXPECT_EQ(join(), 1);
    EXPECT_EQ(map.spawn(1, enter(3), keep_the_old).outcome, spawn_outcome::started);
    run(context);
    EXPECT_EQ(entered, std::vector{3});
}

TEST_F(ConflictKeep, KeepsOneThatWaits)
{
    spawn_old();
    const spawned waiting = map.spawn(1, enter(2), latest);
    const spawned kept = map.spawn(1, enter(3), keep_the_old);
    EXPECT_EQ(kept.outcome, spawn_outcome::kept);
    EXPECT_EQ(kept.handle.id(), waiting.handle.id());
    late.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{2});
}

// -- replace after exit ------------------------------------------------------------------------------------

struct ConflictAfterExit : ConflictBase {};

TEST_F(ConflictAfterExit, StartsTheNewOneWhenTheOldOneHasEnded)
{
    spawn_old();
    const spawned next = map.spawn(1, enter(2), after_exit);
    EXPECT_EQ(next.outcome, spawn_outcome::queued);
    EXPECT_EQ(map.size(), 1u);
    EXPECT_EQ(map.find(1)->id(), next.handle.id());
    poll(context);
    EXPECT_EQ(late.cancellations(), 1);
    EXPECT_TRUE(entered.empty());
    late.complete();
    run(context);
    EXPECT_TRUE(old.is_finished());
    EXPECT_EQ(entered, std::vector{2});
    EXPECT_EQ(join(), 2); // and not the old one
    EXPECT_TRUE(map.empty());
}

TEST_F(ConflictAfterExit, OfSeveralThatCameMeanwhileOnlyTheLastStarts)
{
    journal frames;
    spawn_old();
    const abort_handle second = map.spawn(1, enter(2, frames), after_exit).handle;
    const abort_handle third = map.spawn(1, enter(3, frames), after_exit).handle;
    EXPECT_EQ(map.spawn(1, enter(4, frames), after_exit).outcome, spawn_outcome::queued);
    poll(context);
    EXPECT_TRUE(second.is_finished() && third.is_finished());
    EXPECT_EQ(frames.alive(), 1);
    EXPECT_EQ(map.size(), 1u);
    late.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{4});
    EXPECT_EQ(join(), 4);
    EXPECT_FALSE(join());
}

TEST_F(ConflictAfterExit, StartsAtOnceAfterOneThatHasEndedOrOnlyWaits)
{
    map.spawn(1, give(1));
    poll(context);
    EXPECT_EQ(map.spawn(1, enter(2), after_exit).outcome, spawn_outcome::replaced);
    poll(context);
    EXPECT_EQ(map.spawn(1, enter(3), {.delay = std::chrono::hours(1)}).outcome, spawn_outcome::queued);
    EXPECT_EQ(map.spawn(1, enter(4), after_exit).outcome, spawn_outcome::replaced);
    run(context);
    EXPECT_EQ(entered, (std::vector{2, 4}));
    EXPECT_EQ(join(), 4);
    EXPECT_FALSE(join());
}

TEST_F(ConflictAfterExit, TheNewOneEndsAtOnceWhenItIsAbortedBeforeTheOldOneHasEnded)
{
    journal frames;
    spawn_old();
    const abort_handle next = map.spawn(1, enter(2, frames), after_exit).handle;
    EXPECT_TRUE(next.abort());
    poll(context);
    EXPECT_TRUE(next.is_finished());
    EXPECT_EQ(frames.alive(), 0);
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
    EXPECT_FALSE(old.is_finished());
    late.complete();
    run(context);
    EXPECT_TRUE(map.empty() && entered.empty());
}

TEST_F(ConflictAfterExit, WaitsForTheOldOneAlsoWhenTheOneThatWaitedForItHasLeftTheKeyFree)
{
    spawn_old();
    map.spawn(1, enter(1), after_exit);
    map.abort(1);
    poll(context);
    EXPECT_TRUE(cancelled_as(map.try_join_next()->result));
    EXPECT_FALSE(map.contains(1));
    EXPECT_EQ(map.spawn(1, enter(2), after_exit).outcome, spawn_outcome::queued);
    poll(context);
    EXPECT_TRUE(entered.empty());
    late.complete();
    run(context);
    EXPECT_EQ(join(), 2);
    EXPECT_EQ(map.spawn(1, enter(3), after_exit).outcome, spawn_outcome::started);
}

TEST_F(ConflictAfterExit, LeavesTheOldOneToBeJoinedFirstIfAsked)
{
    spawn_old();
    map.spawn(1, give(2), {.conflict = on_conflict::replace_after_exit, .join_replaced = true});
    EXPECT_EQ(map.size(), 2u);
    late.complete();
    run(context);
    EXPECT_EQ(join(), -1);
    EXPECT_EQ(join(), 2);
    EXPECT_FALSE(join());
}

TEST_F(ConflictAfterExit, StartsTheNewOneWhenTheOldOneIsDetachedMeanwhileAndHasEnded)
{
    spawn_old();
    map.spawn(1, enter(2), after_exit);
    EXPECT_TRUE(map.detach(1));
    poll(context);
    EXPECT_TRUE(entered.empty() && map.empty());
    late.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{2}); // it was forgotten, and not aborted
    EXPECT_FALSE(join());
}

class ConflictOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(ConflictOnEachHome);

TEST_P(ConflictOnEachHome, AfterExitThereAreNeverTwoAtOnceHoweverSlowlyTheyEnd)
{
    journal running;
    join_map<int, int> map(home.executor());
    abort_handle last;
    for (int i = 0; i != 50; ++i) {
        const auto slow = [&running, i]() -> task<int> {
            const tracked here(running);
            const auto hold = co_await this_task::hold_abort();
            for (int turn = 0; turn != 3; ++turn)
                co_await this_task::yield();
            co_await this_task::sleep_for(std::chrono::nanoseconds(1));
            co_return i;
        };
        last = map.spawn(1, slow, after_exit).handle;
        EXPECT_EQ(map.size(), 1u);
        if (i % 7 == 0)
            home.run_until([&] { return last.is_finished() || running.alive() != 0; });
    }
    std::optional<int> joined;
    home.run_until([&] {
        if (const auto next = map.try_join_next())
            joined = next->result.value();
        return joined.has_value();
    });
    EXPECT_EQ(running.most_alive(), 1);
    EXPECT_EQ(joined, 49);
    EXPECT_FALSE(map.try_join_next());
}

// -- queue the latest --------------------------------------------------------------------------------------

struct ConflictQueueLatest : ConflictBase {};

TEST_F(ConflictQueueLatest, LetsTheOldOneFinishAndThenRunsTheNewestOnly)
{
    journal frames;
    spawn_old();
    const abort_handle second = map.spawn(1, enter(2, frames), latest).handle;
    EXPECT_EQ(map.size(), 2u);
    const spawned third = map.spawn(1, enter(3, frames), latest);
    EXPECT_EQ(third.outcome, spawn_outcome::queued);
    EXPECT_EQ(map.size(), 2u);
    EXPECT_EQ(map.find(1)->id(), third.handle.id());
    EXPECT_TRUE(map.contains_task(old.id()));
    poll(context);
    EXPECT_TRUE(second.is_finished());
    EXPECT_EQ(late.cancellations(), 0);
    EXPECT_EQ(frames.alive(), 1);
    late.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{3});
    EXPECT_EQ(join(), 10);
    EXPECT_EQ(join(), 3);
    EXPECT_FALSE(join());
}

TEST_F(ConflictQueueLatest, StartsAtOnceBesideTheOutcomeOfOneThatHasFinished)
{
    map.spawn(1, give(1));
    poll(context);
    EXPECT_EQ(map.spawn(1, give(2), latest).outcome, spawn_outcome::started);
    EXPECT_EQ(map.size(), 2u);
    poll(context);
    EXPECT_EQ(join(), 1);
    EXPECT_EQ(join(), 2);
    EXPECT_FALSE(join());
}

TEST_F(ConflictQueueLatest, RunsTheNewestAlsoAfterAnOldOneThatIsAborted)
{
    spawn_old();
    map.spawn(1, enter(2), latest);
    old.abort();
    late.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{2});
    EXPECT_EQ(cancelled_as(map.try_join_next()->result), cancel_reason::aborted);
    EXPECT_EQ(join(), 2);
}

TEST_F(ConflictQueueLatest, LeavesThoseInBetweenToBeJoinedIfAsked)
{
    map.set_conflict_policy(on_conflict::queue_latest);
    spawn_old();
    map.spawn(1, enter(2));
    map.spawn(1, enter(3), {.join_replaced = true});
    poll(context);
    EXPECT_EQ(join(), -1);
    late.complete();
    run(context);
    EXPECT_EQ(join(), 10);
    EXPECT_EQ(join(), 3);
    EXPECT_FALSE(join());
    EXPECT_EQ(entered, std::vector{3});
}

TEST_F(ConflictQueueLatest, AReplacementAfterExitTakesThePlaceOfTheOneThatWaitsAndAbortsTheOldOne)
{
    spawn_old();
    map.spawn(1, enter(2), latest);
    map.spawn(1, enter(3), after_exit);
    poll(context);
    EXPECT_EQ(late.cancellations(), 1);
    EXPECT_TRUE(entered.empty());
    late.complete();
    run(context);
    EXPECT_EQ(entered, std::vector{3});
}

} // namespace
