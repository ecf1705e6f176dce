// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// The coroutine itself: when it runs, what it yields, how it nests, what it costs and when its parts are destroyed.

#include <allocations.hpp>
#include <homes.hpp>
#include <tracked.hpp>

#include <joinery/detail/block_cache.hpp>
#include <joinery/detail/block_depot.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace joinery;
namespace asio = boost::asio;
using test::journal;
using test::tracked;
using names = std::vector<std::string>;

/// The outcome of work on a home where nothing can come between.
template<class V, class Work>
join_result<V> outcome_of(Work&& work, std::source_location where = std::source_location::current())
{
    return test::any_home(test::home_kind::strand).outcome_of<V>(std::forward<Work>(work), where);
}

template<class V>
task<V> give(V value)
{
    co_return std::move(value);
}

// -- the task object ---------------------------------------------------------------------------------------

static_assert(std::movable<task<int>> && !std::copy_constructible<task<int>>);
static_assert(std::is_nothrow_move_constructible_v<task<int>> && std::is_nothrow_move_assignable_v<task<int>>);
static_assert(std::is_nothrow_default_constructible_v<task<int>>);
static_assert(std::same_as<task<>, task<void>>);
static_assert(std::same_as<task<std::string>::value_type, std::string>);

task<int> note_start(bool& started)
{
    started = true;
    co_return 1;
}

TEST(TaskStart, NothingRunsBeforeTheTaskIsAwaited)
{
    bool started = false;
    const auto outer = [&]() -> task<int> {
        task<int> inner = note_start(started);
        EXPECT_FALSE(started) << "called";
        co_await this_task::yield();
        EXPECT_FALSE(started) << "not awaited yet";
        const int value = co_await std::move(inner);
        EXPECT_TRUE(started);
        EXPECT_FALSE(inner) << "awaited, and so gone"; // NOLINT(bugprone-use-after-move)
        co_return value;
    };
    EXPECT_EQ(outcome_of<int>(outer).value(), 1);
}

TEST(TaskStart, SpawnRunsNothingWithinItsCall)
{
    asio::io_context context;
    join_set<int> set(context);
    bool started = false;
    set.spawn(note_start(started));
    EXPECT_FALSE(started);
    context.poll();
    EXPECT_TRUE(started);
}

task<int> with_parameters(tracked, tracked)
{
    co_return 1;
}

TEST(TaskObject, MovingLeavesNoTaskBehind)
{
    journal events;
    task<int> empty;
    EXPECT_FALSE(empty);
    task<int> first = with_parameters(tracked(events, "1a"), tracked(events, "1b"));
    EXPECT_TRUE(first);
    task<int> second = std::move(first);
    EXPECT_TRUE(second);
    EXPECT_FALSE(first); // NOLINT(bugprone-use-after-move): promised to be empty
    EXPECT_EQ(events.alive(), 2);
    first = std::move(second);
    EXPECT_TRUE(first);
    EXPECT_FALSE(second); // NOLINT(bugprone-use-after-move)
}

TEST(TaskObject, MoveAssignmentDestroysTheTaskThatWasThere)
{
    journal events;
    task<int> kept = with_parameters(tracked(events, "1a"), tracked(events, "1b"));
    task<int> given = with_parameters(tracked(events, "2a"), tracked(events, "2b"));
    kept = std::move(given);
    EXPECT_TRUE(kept);
    EXPECT_FALSE(given) << "a moved-from task could be awaited"; // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(events.alive(), 2);
}

TEST(TaskObject, DestroyingItUnstartedDestroysItsParametersAndNeverEntersIt)
{
    journal events;
    bool started = false;
    {
        const task<int> unused = with_parameters(tracked(events, "a"), tracked(events, "b"));
        const task<int> never = note_start(started);
        EXPECT_EQ(events.alive(), 2);
    }
    EXPECT_EQ(events.alive(), 0);
    EXPECT_FALSE(started);
}

[[gnu::noinline]] task<int> out_of_sight(std::shared_ptr<int>)
{
    co_return 1;
}

TEST(TaskObject, ThrowsBadAllocAndLeaksNothingWhenThereIsNoMemory)
{
    if (!test::allocations_are_ours)
        GTEST_SKIP() << "ThreadSanitizer has its own operator new";
    const auto parameter = std::make_shared<int>(5);
    bool refused = false;
    try {
        const test::failing_allocations failing(0);
        const task<int> made = out_of_sight(parameter);
    } catch (const std::bad_alloc&) {
        refused = true;
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ(parameter.use_count(), 1);
}

// -- values ------------------------------------------------------------------------------------------------

struct built_from_two {
    built_from_two(int first, int second)
        : sum(first + second)
    {
    }

    const int sum; // nor assignable
};

struct alignas(64) wide {
    explicit wide(int given)
        : number(given)
    {
        check();
    }

    wide(wide&& other) noexcept
        : number(other.number)
    {
        check();
    }

    void check() const
    {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(this) % alignof(wide), 0u);
    }

    int number;
};

template<class V>
task<V> pass_on(task<V> inner)
{
    co_return co_await std::move(inner);
}

TEST(TaskValue, MayBeNothing)
{
    bool ran = false;
    const auto inner = [&]() -> task<void> {
        ran = true;
        co_return;
    };
    const auto outer = [&]() -> task<> { co_await inner(); };
    EXPECT_TRUE(outcome_of<void>(outer()).has_value());
    EXPECT_TRUE(ran);
}

TEST(TaskValue, MayBeMoveOnlyOrNotDefaultConstructible)
{
    const auto moved = outcome_of<std::unique_ptr<int>>(pass_on(give(std::make_unique<int>(5))));
    EXPECT_EQ(*moved.value(), 5);
    const auto made = []() -> task<built_from_two> { co_return {2, 3}; };
    EXPECT_EQ(outcome_of<built_from_two>(pass_on(made())).value().sum, 5);
}

TEST(TaskValue, MayBeAlignedMoreStrictlyThanMemoryIs)
{
    const auto make = [](int number) -> task<wide> { co_return wide(number); };
    EXPECT_EQ(outcome_of<wide>(make(5)).value().number, 5);
    EXPECT_EQ(outcome_of<wide>(pass_on(make(6))).value().number, 6);
}

TEST(TaskValue, IsMadeOfWhatIsReturnedAsByAReturnStatement)
{
    const auto text = []() -> task<std::string> { co_return "text"; };
    const auto local = []() -> task<std::unique_ptr<int>> {
        auto value = std::make_unique<int>(5);
        co_return value;
    };
    const auto widened = []() -> task<std::optional<long>> { co_return 5; };
    EXPECT_EQ(outcome_of<std::string>(text).value(), "text");
    EXPECT_EQ(*outcome_of<std::unique_ptr<int>>(local).value(), 5);
    EXPECT_EQ(outcome_of<std::optional<long>>(widened).value(), 5);
}

// -- nesting -----------------------------------------------------------------------------------------------

task<int> depth(int below)
{
    if (below == 0)
        co_return 0;
    co_return 1 + co_await depth(below - 1);
}

#if defined(__GNUC__) && !defined(__clang__)
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JOINERY_TEST_NO_TAIL_CALLS
#endif
#endif

TEST(TaskNesting, NeitherManyNorDeepAwaitsGrowTheStack)
{
#if defined(JOINERY_TEST_NO_TAIL_CALLS)
    GTEST_SKIP()
        << "GCC makes no tail calls without optimisation or with a sanitizer, and symmetric transfer needs them";
#endif
    const auto many = []() -> task<int> {
        int sum = 0;
        for (int i = 0; i != 100'000; ++i)
            sum += co_await give(1);
        co_return sum;
    };
    EXPECT_EQ(outcome_of<int>(many).value(), 100'000);
    EXPECT_EQ(outcome_of<int>(depth(100'000)).value(), 100'000);
}

TEST(TaskNesting, EachTaskIsGoneWhenItsAwaitIsOver)
{
    journal events;
    const auto inner = [](tracked parameter) -> task<std::string> {
        co_await this_task::yield();
        co_return parameter.name();
    };
    const auto outer = [&]() -> task<std::string> {
        const std::string first = co_await inner(tracked(events, "first"));
        EXPECT_EQ(events.ended(), names{"first"});
        co_return first + co_await inner(tracked(events, "second"));
    };
    EXPECT_EQ(outcome_of<std::string>(outer).value(), "firstsecond");
    EXPECT_EQ(events.alive(), 0);
}

// -- exceptions --------------------------------------------------------------------------------------------

task<int> throws(journal& events, int below)
{
    const tracked local(events, std::to_string(below));
    if (below == 0)
        throw std::domain_error("deep down");
    co_return co_await throws(events, below - 1);
}

TEST(TaskException, PassesThroughNestedTasksToWhoJoins)
{
    journal events;
    const auto result = outcome_of<int>(throws(events, 3));
    ASSERT_TRUE(result.has_error());
    EXPECT_TRUE(result.error().is_exception());
    EXPECT_THROW(result.value(), std::domain_error);
    EXPECT_EQ(events.ended(), (names{"0", "1", "2", "3"}));
}

TEST(TaskException, MayBeCaughtByWhoAwaits)
{
    journal events;
    const auto outer = [&]() -> task<int> {
        for (int i = 0; i != 3; ++i) {
            try {
                co_await throws(events, i);
                ADD_FAILURE() << "nothing was thrown";
            } catch (const std::domain_error& error) {
                EXPECT_STREQ(error.what(), "deep down");
            }
        }
        co_return 5;
    };
    EXPECT_EQ(outcome_of<int>(outer).value(), 5);
    EXPECT_EQ(events.alive(), 0);
}

struct throws_when_destroyed {
    ~throws_when_destroyed() noexcept(false)
    {
        throw std::domain_error("on the way out");
    }
};

task<tracked> returns_and_throws(journal& events)
{
    const throws_when_destroyed local;
    co_return tracked(events, "value");
}

TEST(TaskException, OfALocalsDestructorTakesThePlaceOfTheValue)
{
    journal events;
    EXPECT_THROW(outcome_of<tracked>(returns_and_throws(events)).value(), std::domain_error);
    EXPECT_EQ(events.ended(), names{"value"});
    EXPECT_THROW(outcome_of<tracked>(pass_on(returns_and_throws(events))).value(), std::domain_error);
    EXPECT_EQ(events.alive(), 0);
}

struct throws_when_moved {
    throws_when_moved() = default;

    throws_when_moved(throws_when_moved&&)
    {
        throw std::domain_error("on the move");
    }
};

TEST(TaskException, OfMovingTheValueIsTheTasksException)
{
    const auto make = []() -> task<throws_when_moved> { co_return throws_when_moved(); };
    const auto await = [&]() -> task<int> {
        co_await make();
        co_return 1;
    };
    EXPECT_THROW(outcome_of<int>(await).value(), std::domain_error);
    EXPECT_THROW(outcome_of<throws_when_moved>(make()).value(), std::domain_error);
}

// -- memory ------------------------------------------------------------------------------------------------

TEST(TaskMemory, ThatWasFreedServesTheNextTask)
{
    if (!test::allocations_are_ours || !detail::block_cache::is_on)
        GTEST_SKIP() << "a sanitizer is to see each allocation";
    asio::io_context context;
    join_set<int> set(asio::make_strand(context), 100);
    std::size_t before = 0;
    for (int i = 0; i != 10; ++i) {
        if (i == 1)
            before = test::allocation_count();
        set.spawn(give(i));
        context.restart();
        context.poll();
        EXPECT_EQ(set.try_join_next()->result.value(), i);
    }
    EXPECT_LE(test::allocation_count() - before, 9u) << "the executor's own";
}

TEST(TaskMemory, ABlockThatIsTooSmallToHeadABundleIsNotTaken)
{
    detail::block_depot::free_block room[2] = {};
    EXPECT_FALSE(detail::block_depot::instance().put(0, room));
    EXPECT_EQ(room[1].next, nullptr);
}

TEST(TaskMemory, ATaskSpawnedWithinABurstCostsOneAllocation)
{
    if (!test::allocations_are_ours)
        GTEST_SKIP() << "ThreadSanitizer has its own operator new";
    asio::io_context context;
    join_set<int> set(asio::make_strand(context), 100);
    join_map<int, std::string> map(asio::make_strand(context), 100);
    set.spawn(give(0));
    map.spawn(0, give(std::string()));
    detail::block_cache::clear();
    for (int i = 1; i != 50; ++i) {
        std::size_t before = test::allocation_count();
        set.spawn(give(i));
        EXPECT_EQ(test::allocation_count() - before, 1u);
        before = test::allocation_count();
        map.spawn(i, give(std::string()));
        EXPECT_EQ(test::allocation_count() - before, 1u);
        before = test::allocation_count();
        set.spawn([i] { return give(i); });
        EXPECT_EQ(test::allocation_count() - before, 1u) << "the function's; its task's comes when it starts";
    }
    context.poll();
    const std::size_t before = test::allocation_count();
    while (set.try_join_next())
        continue;
    while (map.try_join_next())
        continue;
    EXPECT_EQ(test::allocation_count(), before) << "a join";
}

} // namespace
