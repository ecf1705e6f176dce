// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Waiting for one task, by its key or id.

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>

#include <ended.hpp>
#include <homes.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

/// A map of values that can be copied, or not, with a task under the key 1 that ends when it is told to.
template<class V>
struct OneKeyBase : testing::Test {
    using map_type = join_map<int, V>;
    using end = ended_join<map_type>;

    static task<V> make(manual_event& until, int value)
    {
        co_await until.async_wait();
        if constexpr (std::is_same_v<V, int>)
            co_return value;
        else
            co_return std::make_unique<int>(value);
    }

    void SetUp() override
    {
        target = map->spawn(1, make(event, 7));
        poll(context);
    }

    void complete()
    {
        event.complete();
        poll(context);
    }

    asio::io_context context;
    manual_event event{context.get_executor(), when_cancelled::goes_on};
    std::optional<map_type> map{context};
    abort_handle target;
    end first;
    end second;
    end next;
};

struct JoinOneKey : OneKeyBase<int> {};
struct JoinOneKeyMoveOnly : OneKeyBase<std::unique_ptr<int>> {};

// -- joining it ----------------------------------------------------------------------------------------------------

TEST_F(JoinOneKey, YieldsTheOutcomeOfThatTaskWhenItHasEnded)
{
    map->spawn(2, give(2));
    map->async_join(1, first.handler());
    poll(context);
    EXPECT_FALSE(first.is_over());
    EXPECT_TRUE(map->contains(1));
    complete();
    EXPECT_EQ(first.joined().key, 1);
    EXPECT_EQ(first.joined().id, target.id());
    EXPECT_EQ(first.joined().result.value(), 7);
    EXPECT_FALSE(map->contains(1));
    EXPECT_EQ(map->try_join_next()->key, 2);
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKey, YieldsNothingIfThereIsNoSuchTaskButNotWithinTheCall)
{
    map->async_join(3, first.handler());
    EXPECT_FALSE(first.is_over());
    poll(context);
    EXPECT_TRUE(first.is_nothing());
    complete();
}

TEST_F(JoinOneKey, FindsATaskThatHasEndedWhetherTheOwnerKnowsOrNot)
{
    complete(); // the owner does not
    map->async_join(1, first.handler());
    map->spawn(2, give(2));
    poll(context);
    EXPECT_EQ(first.joined().result.value(), 7);
    map->spawn(3, give(3));
    poll(context);
    EXPECT_EQ(map->try_join_next()->key, 2); // now it knows of the other
    map->async_join(3, second.handler());
    EXPECT_FALSE(map->try_join_next());
    run(context);
    EXPECT_EQ(second.joined().result.value(), 3);
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKey, WhoJoinsTheNextOnePassesItByAndHearsWhenThereIsNoOther)
{
    map->spawn(2, give(2));
    map->async_join(1, first.handler());
    map->async_join_next(next.handler());
    complete();
    EXPECT_EQ(next.joined().key, 2);
    EXPECT_EQ(first.joined().key, 1);
    second.forget();
    map->async_join_next(second.handler());
    run(context);
    EXPECT_TRUE(second.is_nothing());
}

TEST_F(JoinOneKey, WhoJoinsTheNextOneWaitsWhileItIsThere)
{
    map->async_join(1, first.handler());
    map->async_join_next(next.handler());
    poll(context);
    EXPECT_FALSE(next.is_over());
    complete();
    EXPECT_EQ(first.joined().key, 1);
    EXPECT_TRUE(next.is_nothing());
}

TEST_F(JoinOneKey, SeveralWhoWaitGetACopyEach)
{
    map->async_join(1, first.handler());
    map->async_join(1, second.handler());
    map->async_join_next(next.handler());
    complete();
    EXPECT_EQ(first.joined().result.value(), 7);
    EXPECT_EQ(second.joined().result.value(), 7);
    EXPECT_EQ(first.joined().id, second.joined().id);
    EXPECT_TRUE(next.is_nothing());
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKeyMoveOnly, OfSeveralWhoWaitTheFirstGetsTheOutcomeAndTheOthersNothing)
{
    map->async_join(1, first.handler());
    map->async_join(1, second.handler());
    complete();
    EXPECT_EQ(**first.joined().result, 7);
    EXPECT_TRUE(second.is_nothing());
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKey, SeveralWhoWaitShareAnException)
{
    map->spawn(2, []() -> task<int> {
        co_await this_task::yield();
        throw std::runtime_error("shared");
    });
    map->async_join(2, first.handler());
    map->async_join(2, second.handler());
    poll(context);
    EXPECT_THROW(first.joined().result.value(), std::runtime_error);
    EXPECT_THROW(second.joined().result.value(), std::runtime_error);
    complete();
}

// -- giving up -----------------------------------------------------------------------------------------------------

TEST_F(JoinOneKey, OneWhoGivesUpLosesNothing)
{
    asio::cancellation_signal signal;
    map->async_join(1, asio::bind_cancellation_slot(signal.slot(), first.handler()));
    poll(context);
    signal.emit(asio::cancellation_type::total);
    poll(context);
    EXPECT_EQ(first.error(), asio::error::operation_aborted);
    EXPECT_EQ(event.cancellations(), 0);
    map->async_join_next(next.handler());
    complete();
    EXPECT_EQ(next.joined().result.value(), 7);
}

TEST_F(JoinOneKeyMoveOnly, OneWhoGivesUpWithTheOutcomeOnItsWayLosesNothing)
{
    asio::cancellation_signal signal;
    map->spawn(2, make(event, 2)); // behind the other
    map->async_join(1, asio::bind_cancellation_slot(signal.slot(), first.handler()));
    event.complete();
    run_until(context, [&] { return target.is_finished(); });
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    EXPECT_EQ(first.error(), asio::error::operation_aborted);
    map->async_join_next(next.handler());
    poll(context);
    EXPECT_EQ(**next.joined().result, 7);
}

TEST_F(JoinOneKey, OneWhoGivesUpLeavesTheOutcomeToTheOthers)
{
    asio::cancellation_signal signal;
    map->async_join(1, asio::bind_cancellation_slot(signal.slot(), first.handler()));
    map->async_join(1, second.handler());
    signal.emit(asio::cancellation_type::terminal);
    poll(context);
    complete();
    EXPECT_EQ(first.error(), asio::error::operation_aborted);
    EXPECT_EQ(second.joined().result.value(), 7);
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKey, AnOutcomeThatOneHasTakenIsNotJoinedAgainWhenAnotherGivesUpThen)
{
    asio::cancellation_signal signal;
    map->async_join(1, first.handler());
    map->async_join(1, asio::bind_cancellation_slot(signal.slot(), second.handler()));
    event.complete();
    run_until(context, [&] { return first.is_over(); });
    EXPECT_FALSE(second.is_over());
    signal.emit(asio::cancellation_type::terminal);
    run(context);
    EXPECT_EQ(first.joined().result.value(), 7);
    EXPECT_EQ(second.error(), asio::error::operation_aborted);
    EXPECT_FALSE(map->try_join_next());
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKey, EndsAsAbortedWhenTheMapIsDestroyed)
{
    map->async_join(1, first.handler());
    map->async_abort(1, second.handler());
    poll(context);
    map.reset();
    EXPECT_FALSE(first.is_over());
    poll(context);
    EXPECT_EQ(first.error(), asio::error::operation_aborted);
    EXPECT_EQ(second.error(), asio::error::operation_aborted);
    event.complete();
    run(context);
}

// -- when the task leaves ------------------------------------------------------------------------------------------

TEST_F(JoinOneKey, EndsAtOnceAsReplacedWhenTheTaskIsReplaced)
{
    for (const bool by_rules : {false, true}) {
        end waiter;
        map->async_join(1, waiter.handler());
        poll(context);
        const task_id old = map->find(1)->id();
        if (by_rules)
            map->spawn(1, wait_forever(), {.conflict = on_conflict::replace});
        else
            map->spawn(1, wait_forever());
        EXPECT_FALSE(waiter.is_over());
        poll(context);
        EXPECT_EQ(waiter.joined().key, 1);
        EXPECT_EQ(waiter.joined().id, old);
        EXPECT_EQ(cancelled_as(waiter.joined().result), cancel_reason::replaced);
        EXPECT_EQ(map->size(), 1u);
    }
    EXPECT_FALSE(target.is_finished());
    event.complete();
    map->abort(1);
    map->async_join_next(next.handler());
    run(context);
    EXPECT_EQ(cancelled_as(next.joined().result), cancel_reason::aborted);
}

TEST_F(JoinOneKey, GoesOnForATaskThatIsReplacedButStays)
{
    map->async_join(1, first.handler());
    map->spawn(1, give(8), {.join_replaced = true});
    map->async_join(1, second.handler());
    poll(context);
    EXPECT_FALSE(first.is_over());
    EXPECT_EQ(second.joined().result.value(), 8);
    complete();
    EXPECT_EQ(first.joined().id, target.id());
    EXPECT_EQ(cancelled_as(first.joined().result), cancel_reason::replaced);
}

TEST_F(JoinOneKey, EndsAtOnceAsShutDownWhenTheMapIsShutDown)
{
    map->async_join(1, first.handler());
    poll(context);
    bool is_down = false;
    map->async_shutdown([&](boost::system::error_code) { is_down = true; });
    poll(context);
    EXPECT_EQ(cancelled_as(first.joined().result), cancel_reason::shutdown);
    EXPECT_FALSE(is_down);
    complete();
    EXPECT_TRUE(is_down);
}

TEST_F(JoinOneKey, YieldsNothingWhenTheTaskIsDetached)
{
    map->async_join(1, first.handler());
    poll(context);
    EXPECT_TRUE(map->detach(1));
    EXPECT_FALSE(map->detach(1));
    EXPECT_TRUE(map->empty());
    poll(context);
    EXPECT_TRUE(first.is_nothing());
    EXPECT_FALSE(target.is_finished());
    complete();
    EXPECT_TRUE(target.is_finished());
    EXPECT_EQ(event.cancellations(), 0);
    EXPECT_FALSE(map->try_join_next());
}

TEST(DetachOneKey, DropsTheValueOfATaskThatHasFinishedOrFinishesLater)
{
    journal values;
    asio::io_context context;
    join_map<std::string, tracked> map(context);
    map.spawn("early", [&] { return tracked(values); });
    poll(context);
    map.spawn("late", [&] { return tracked(values); });
    EXPECT_TRUE(map.detach("early"));
    map.try_join_next();
    EXPECT_EQ(values.alive(), 0);
    EXPECT_TRUE(map.detach(std::string_view("late")));
    run(context);
    EXPECT_EQ(values.begun(), 2);
    EXPECT_EQ(values.alive(), 0);
    EXPECT_TRUE(map.empty());
}

// -- aborting it ---------------------------------------------------------------------------------------------------

TEST_F(JoinOneKey, AnAbortBeginsWithTheOperationAndEndsWithTheTask)
{
    auto operation = map->async_abort(1, asio::deferred);
    poll(context);
    EXPECT_EQ(event.cancellations(), 0);
    std::move(operation)(first.handler());
    poll(context);
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_FALSE(first.is_over());
    complete();
    EXPECT_EQ(cancelled_as(first.joined().result), cancel_reason::aborted);
    EXPECT_TRUE(map->empty());
}

TEST_F(JoinOneKey, AnAbortOfATaskThatHadFinishedYieldsItsValue)
{
    complete();
    map->async_abort(1, first.handler());
    map->async_abort(1, second.handler());
    poll(context);
    EXPECT_EQ(first.joined().result.value(), 7);
    EXPECT_EQ(second.joined().result.value(), 7);
    next.forget();
    map->async_abort(1, next.handler());
    run(context);
    EXPECT_TRUE(next.is_nothing());
}

TEST(JoinOneTask, OfASetIsByItsId)
{
    asio::io_context context;
    join_set<int> set(context);
    ended_join<join_set<int>> joined;
    ended_join<join_set<int>> aborted_one;
    ended_join<join_set<int>> detached;
    const abort_handle one = set.spawn(give(1));
    const abort_handle two = set.spawn(wait_forever());
    const abort_handle three = set.spawn(wait_forever());
    set.async_join(one.id(), joined.handler());
    set.async_abort(two.id(), aborted_one.handler());
    set.async_join(three.id(), detached.handler());
    EXPECT_TRUE(set.detach(three.id()));
    poll(context);
    EXPECT_EQ(joined.joined().result.value(), 1);
    EXPECT_EQ(cancelled_as(aborted_one.joined().result), cancel_reason::aborted);
    EXPECT_TRUE(detached.is_nothing());
    EXPECT_TRUE(set.empty());
    three.abort();
    run(context);
}

} // namespace
