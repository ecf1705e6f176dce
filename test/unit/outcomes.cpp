// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "loose_node.hpp"

#include <joinery/abort_handle.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/join_error.hpp>
#include <joinery/join_set.hpp>
#include <joinery/task.hpp>
#include <joinery/task_id.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <compare>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace {

using namespace joinery;
namespace asio = boost::asio;
using test::loose_node;

template<class T>
std::string text_of(const T& value)
{
    std::ostringstream out;
    out << value;
    return out.str();
}

task_id id_of(std::uint64_t number, std::uint32_t slot = 0)
{
    loose_node task(number);
    task.node.slot_ = slot;
    return task.node.id();
}

/// What a call throws, as its type's `what()`; empty if nothing.
template<class Exception, class F>
std::string message_thrown_by(F&& call)
{
    try {
        call();
    } catch (const Exception& exception) {
        return exception.what();
    }
    return {};
}

// -- task_id -----------------------------------------------------------------------------------------------

static_assert(std::regular<task_id>);
static_assert(std::three_way_comparable<task_id, std::strong_ordering>);
static_assert(std::is_trivially_copyable_v<task_id>);

TEST(TaskId, ADefaultOneNamesNoTask)
{
    EXPECT_EQ(task_id().value(), 0u);
    EXPECT_EQ(task_id(), task_id());
    EXPECT_LT(task_id(), id_of(1));
}

TEST(TaskId, ComparesByNumberAlone)
{
    EXPECT_EQ(id_of(7, 1), id_of(7, 2));
    EXPECT_NE(id_of(7, 1), id_of(8, 1));
    EXPECT_LT(id_of(7, 9), id_of(8, 1));
    EXPECT_EQ(id_of(9) <=> id_of(8), std::strong_ordering::greater);
}

TEST(TaskId, IsAKeyOfOrderedAndUnorderedContainers)
{
    const std::set<task_id> ordered{id_of(3), id_of(1), id_of(3, 5), id_of(2)};
    EXPECT_EQ(ordered.size(), 3u);
    EXPECT_EQ(ordered.begin()->value(), 1u);
    const std::unordered_set<task_id> unordered{id_of(3), id_of(1), id_of(3, 5), id_of(2)};
    EXPECT_EQ(unordered.size(), 3u);
    EXPECT_TRUE(unordered.contains(id_of(3, 77)));
    EXPECT_EQ(std::hash<task_id>()(id_of(3, 1)), std::hash<task_id>()(id_of(3, 2)));
}

TEST(TaskId, IsStreamedAsItsNumber)
{
    EXPECT_EQ(text_of(id_of(18'000'000'000'000'000'000u)), "18000000000000000000");
}

TEST(TaskId, AscendsForTheTasksOfOneThreadAndIsNeverReused)
{
    asio::io_context context;
    join_set<int> set(context);
    std::vector<task_id> ids;
    for (int round = 0; round != 3; ++round) {
        for (int i = 0; i != 10; ++i)
            ids.push_back(set.spawn([i] { return i; }).id());
        context.restart();
        context.poll();
        while (const auto joined = set.try_join_next())
            EXPECT_NE(std::find(ids.begin(), ids.end(), joined->id), ids.end());
    }
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end(), std::less_equal<>())) << "an id came twice, or out of order";
    EXPECT_NE(ids.front(), task_id());
}

TEST(TaskId, IsUniqueAcrossThreads)
{
    constexpr std::size_t threads = 8;
    constexpr std::size_t per_thread = 150'000; // more than two blocks of numbers
    std::vector<std::vector<std::uint64_t>> numbers(threads);
    {
        std::vector<std::jthread> takers;
        for (std::size_t t = 0; t != threads; ++t)
            takers.emplace_back([&mine = numbers[t]] {
                mine.reserve(per_thread);
                for (std::size_t i = 0; i != per_thread; ++i)
                    mine.push_back(detail::next_task_number());
            });
    }
    std::vector<std::uint64_t> all;
    for (const auto& mine : numbers) {
        EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
        all.insert(all.end(), mine.begin(), mine.end());
    }
    std::sort(all.begin(), all.end());
    EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
    EXPECT_NE(all.front(), 0u);
}

// -- cancel_reason -----------------------------------------------------------------------------------------

const std::map<cancel_reason, std::string> reasons{
    {cancel_reason::aborted, "abort requested"},
    {cancel_reason::timed_out, "deadline passed"},
    {cancel_reason::replaced, "replaced by a newer task under the same key"},
    {cancel_reason::shutdown, "its set or map was shut down"},
    {cancel_reason::executor_gone, "its execution context was destroyed"},
};

TEST(CancelReason, HasAPhraseForEachReason)
{
    for (const auto& [reason, phrase] : reasons) {
        EXPECT_EQ(to_string(reason), phrase);
        EXPECT_EQ(text_of(reason), phrase);
    }
    EXPECT_EQ(to_string(static_cast<cancel_reason>(99)), "unknown reason");
}

// -- join_error --------------------------------------------------------------------------------------------

static_assert(std::is_nothrow_default_constructible_v<join_error>);
static_assert(std::copyable<join_error>);

TEST(JoinError, ADefaultOneIsNoError)
{
    const join_error none;
    EXPECT_EQ(none.id(), task_id());
    EXPECT_FALSE(none.is_cancelled());
    EXPECT_FALSE(none.is_exception());
    EXPECT_EQ(none.exception(), nullptr);
    EXPECT_EQ(none.message(), "no error");
}

TEST(JoinError, OfACancelledTaskSaysWhichTaskAndWhy)
{
    for (const auto& [reason, phrase] : reasons) {
        const join_error error(id_of(7), reason);
        EXPECT_EQ(error.id(), id_of(7));
        EXPECT_TRUE(error.is_cancelled());
        EXPECT_FALSE(error.is_exception());
        EXPECT_EQ(error.reason(), reason);
        EXPECT_EQ(error.exception(), nullptr);
        EXPECT_EQ(error.message(), "task 7 was cancelled: " + phrase);
        EXPECT_EQ(text_of(error), error.message());
        EXPECT_EQ(message_thrown_by<task_cancelled>([&] { error.rethrow(); }), error.message());
    }
}

TEST(JoinError, OfAFailedTaskHasItsException)
{
    const std::exception_ptr cause = std::make_exception_ptr(std::out_of_range("no such page"));
    const join_error error(id_of(7), cause);
    EXPECT_EQ(error.id(), id_of(7));
    EXPECT_FALSE(error.is_cancelled());
    EXPECT_TRUE(error.is_exception());
    EXPECT_EQ(error.exception(), cause);
    EXPECT_EQ(error.message(), "task 7 failed: no such page");
    EXPECT_EQ(text_of(error), error.message());
    EXPECT_EQ(message_thrown_by<std::out_of_range>([&] { error.rethrow(); }), "no such page");
}

TEST(JoinError, OfAnExceptionThatIsNoStdExceptionHasAMessageToo)
{
    const join_error error(id_of(7), std::make_exception_ptr(42));
    EXPECT_EQ(error.message(), "task 7 failed: an exception that is not a std::exception");
    EXPECT_THROW(error.rethrow(), int);
}

TEST(TaskCancelled, SaysWhichTaskAndWhy)
{
    const task_cancelled original(join_error(id_of(9), cancel_reason::timed_out));
    const task_cancelled copy = original;
    EXPECT_EQ(copy.id(), id_of(9));
    EXPECT_EQ(copy.reason(), cancel_reason::timed_out);
    EXPECT_STREQ(copy.what(), "task 9 was cancelled: deadline passed");
    EXPECT_EQ(message_thrown_by<std::exception>([&] { throw copy; }), copy.what());
}

// -- join_result -------------------------------------------------------------------------------------------

struct no_default {
    explicit no_default(int given)
        : number(given)
    {
    }

    int number;
};

template<class V, class... Args>
void expect_three_outcomes(Args&&... value)
{
    const join_result<V> succeeded(boost::system::in_place_value, std::forward<Args>(value)...);
    EXPECT_TRUE(succeeded.has_value());
    EXPECT_FALSE(succeeded.error().is_cancelled() || succeeded.error().is_exception());
    EXPECT_NO_THROW(succeeded.value());

    const join_result<V> failed(join_error(id_of(3), std::make_exception_ptr(std::domain_error("mine"))));
    EXPECT_FALSE(failed.has_value());
    EXPECT_EQ(message_thrown_by<std::domain_error>([&] { failed.value(); }), "mine");

    const join_result<V> cancelled(join_error(id_of(3), cancel_reason::shutdown));
    EXPECT_FALSE(cancelled.has_value());
    EXPECT_EQ(cancelled.error().reason(), cancel_reason::shutdown);
    EXPECT_EQ(message_thrown_by<task_cancelled>([&] { cancelled.value(); }), cancelled.error().message());
}

TEST(JoinResult, ValueIsTheValueOrRethrowsOrThrowsTaskCancelled)
{
    expect_three_outcomes<int>(5);
    expect_three_outcomes<void>();
    expect_three_outcomes<std::unique_ptr<int>>(std::make_unique<int>(5));
    expect_three_outcomes<no_default>(5);
}

TEST(JoinResult, GivesAMoveOnlyValueAway)
{
    join_result<std::unique_ptr<int>> result(std::make_unique<int>(5));
    const std::unique_ptr<int> taken = std::move(result).value();
    ASSERT_NE(taken, nullptr);
    EXPECT_EQ(*taken, 5);
    static_assert(!std::copy_constructible<join_result<std::unique_ptr<int>>>);
    static_assert(!std::default_initializable<join_result<no_default>>);
}

// -- abort_handle ------------------------------------------------------------------------------------------

static_assert(std::semiregular<abort_handle>);
static_assert(std::is_nothrow_move_constructible_v<abort_handle>);

TEST(AbortHandle, AnEmptyOneRefersToNoTask)
{
    const abort_handle none;
    EXPECT_FALSE(none);
    EXPECT_EQ(none.id(), task_id());
    EXPECT_TRUE(none.is_finished());
    EXPECT_FALSE(none.abort());
}

TEST(AbortHandle, CopiesShareTheTaskAndTheLastLetsItGo)
{
    loose_node task(5);
    {
        abort_handle first = detail::abort_handle_access::make(task);
        task.node.release(); // joined: the handles alone keep it
        EXPECT_TRUE(first);
        EXPECT_EQ(first.id(), id_of(5));
        EXPECT_FALSE(first.is_finished());
        abort_handle second = first;
        abort_handle third;
        third = second;
        EXPECT_EQ(third.id(), first.id());
        first = abort_handle();
        second = abort_handle();
        EXPECT_TRUE(task.sink.disposed.empty());
        third = *&third; // to itself
        EXPECT_TRUE(task.sink.disposed.empty());
        EXPECT_EQ(third.id(), id_of(5));
    }
    EXPECT_EQ(task.sink.disposed.size(), 1u);
}

TEST(AbortHandle, MovingLeavesItEmpty)
{
    loose_node task(5);
    loose_node other(6);
    {
        abort_handle first = detail::abort_handle_access::make(task);
        task.node.release();
        abort_handle second = std::move(first);
        EXPECT_FALSE(first); // NOLINT(bugprone-use-after-move): promised to be empty
        EXPECT_FALSE(first.abort());
        abort_handle third = detail::abort_handle_access::make(other);
        third = std::move(second);
        EXPECT_FALSE(second); // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(third.id(), id_of(5));
        EXPECT_TRUE(task.sink.disposed.empty());
    }
    EXPECT_EQ(task.sink.disposed.size(), 1u);
    EXPECT_TRUE(other.sink.disposed.empty()) << "it still has its own reference";
}

TEST(AbortHandle, AbortIsStickyAndTheFirstReasonStays)
{
    loose_node task(5);
    const abort_handle handle = detail::abort_handle_access::make(task);
    EXPECT_FALSE(task.node.abort_requested());
    EXPECT_TRUE(handle.abort());
    EXPECT_TRUE(handle.abort()) << "there still was a task to tell";
    task.node.abort(cancel_reason::replaced);
    EXPECT_TRUE(task.node.abort_requested());
    EXPECT_EQ(task.node.reason(), cancel_reason::aborted);
    EXPECT_TRUE(task.where.aborts.empty()) << "a task that never waited finds the abort by itself";
}

TEST(AbortHandle, TellsTheHomeOfATaskThatHasWaitedOnce)
{
    loose_node task(5);
    const abort_handle handle = detail::abort_handle_access::make(task);
    EXPECT_TRUE(task.node.settle_in_home());
    EXPECT_TRUE(handle.abort());
    EXPECT_TRUE(handle.abort());
    EXPECT_EQ(task.where.aborts.size(), 1u);
    EXPECT_FALSE(task.node.settle_in_home()) << "the task would wait although it is aborted";
}

TEST(AbortHandle, AFinishedTaskIsFinishedAndCannotBeAborted)
{
    asio::io_context context;
    join_set<int> set(context);
    const abort_handle handle = set.spawn([] { return 5; });
    EXPECT_FALSE(handle.is_finished());
    context.poll();
    EXPECT_TRUE(handle.is_finished());
    EXPECT_FALSE(handle.abort());
    EXPECT_EQ(set.try_join_next()->result.value(), 5);
    EXPECT_TRUE(handle.is_finished());
}

TEST(AbortHandle, OutlivesTaskAndSetAndContext)
{
    abort_handle joined;
    abort_handle finished;
    abort_handle left;
    const auto shared = std::make_shared<int>(5);
    {
        asio::io_context context;
        join_set<std::shared_ptr<int>> set(context);
        joined = set.spawn([shared] { return shared; });
        context.poll();
        EXPECT_TRUE(set.try_join_next());
        finished = set.spawn([shared] { return shared; });
        context.restart();
        context.poll();
        left = set.spawn([shared] { return shared; });
        EXPECT_EQ(shared.use_count(), 3) << "the result of one, and the function of the other";
    }
    for (const abort_handle& handle : {joined, finished, left}) {
        EXPECT_TRUE(handle.is_finished());
        EXPECT_FALSE(handle.abort());
        EXPECT_NE(handle.id(), task_id());
    }
    EXPECT_EQ(shared.use_count(), 1) << "a handle keeps something of a task that is over";
}

} // namespace
