// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Work that is done again when it has failed: how long the delays are, as a table, and what becomes of failures.

#include <homes.hpp>
#include <manual_event.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <joinery/detail/retry_delays.hpp>
#include <joinery/join_set.hpp>
#include <joinery/retry.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>
#include <joinery/with_timeout.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// -- delays ------------------------------------------------------------------------------------------------

/// Options, and the delays that follow from them when each random number is the same.
struct delay_row {
    std::string name;
    retry_options options;
    double random;
    std::vector<nanoseconds> expected;

    friend std::ostream& operator<<(std::ostream& out, const delay_row& row)
    {
        return out << row.name;
    }
};

class RetryDelays : public testing::TestWithParam<delay_row> {};

TEST_P(RetryDelays, AreAsTheTableSays)
{
    detail::retry_delays delays(GetParam().options);
    std::vector<nanoseconds> answered;
    while (delays.any_left() && answered.size() != 100)
        answered.push_back(delays.next(GetParam().random));
    EXPECT_EQ(answered, GetParam().expected);
}

constexpr retry_options five{.attempts = 5, .first_delay = 10ms, .multiplier = 3, .max_delay = 100ms, .jitter = 0.5};

constexpr retry_options with_jitter(double jitter)
{
    retry_options options = five;
    options.jitter = jitter;
    return options;
}

INSTANTIATE_TEST_SUITE_P(
    Tables, RetryDelays,
    testing::Values(delay_row{"OneAttemptHasNone", {.attempts = 1}, 1, {}},
                    delay_row{"DefaultsDouble", {}, 1, {100ms, 200ms}},
                    delay_row{"DefaultsAreHalvedAtLeast", {}, 0, {50ms, 100ms}},
                    delay_row{"GrowUpToTheLongest", with_jitter(0), 0.7, {10ms, 30ms, 90ms, 100ms}},
                    delay_row{"AreAsLongAsCanBe", five, 1, {10ms, 30ms, 90ms, 100ms}},
                    delay_row{"AreInBetween", five, 0.5, {7500us, 22500us, 67500us, 75ms}},
                    delay_row{"MayBeAllRandom", with_jitter(1), 0, {0ms, 0ms, 0ms, 0ms}},
                    delay_row{"MayStayTheSame", {.first_delay = 5ms, .multiplier = 1, .jitter = 0}, 0, {5ms, 5ms}},
                    delay_row{"AreNotLongerThanTheLongestAtFirst", {.attempts = 2, .max_delay = 3ms}, 1, {3ms}},
                    delay_row{"DoNotOverflow",
                              {.first_delay = 1h, .multiplier = 1e300, .max_delay = nanoseconds::max()},
                              1,
                              {1h, nanoseconds::max()}}),
    [](const auto& tested) { return tested.param.name; });

TEST(RetryOptions, ThatMakeNoSenseAreRefused)
{
    const auto refused = [](retry_options options) {
        try {
            static_cast<void>(retry([] { return give(1); }, options));
            return false;
        } catch (const std::invalid_argument&) {
            return true;
        }
    };
    constexpr double infinite = std::numeric_limits<double>::infinity();
    constexpr double no_number = std::numeric_limits<double>::quiet_NaN();
    EXPECT_FALSE(refused({}));
    EXPECT_TRUE(refused({.attempts = 0}));
    EXPECT_TRUE(refused({.attempts = std::numeric_limits<int>::min()}));
    EXPECT_TRUE(refused({.first_delay = -1ns}));
    EXPECT_TRUE(refused({.max_delay = -1ns}));
    for (const double multiplier : {0.9, -2.0, infinite, no_number})
        EXPECT_TRUE(refused({.multiplier = multiplier})) << multiplier;
    for (const double jitter : {-0.1, 1.1, no_number})
        EXPECT_TRUE(refused({.jitter = jitter})) << jitter;
}

TEST(RetryJitter, IsBetweenZeroAndOneAndNeverTheSame)
{
    const double one = detail::random_fraction();
    const double other = detail::random_fraction();
    EXPECT_NE(one, other);
    for (const double each : {one, other}) {
        EXPECT_GE(each, 0);
        EXPECT_LT(each, 1);
    }
}

// -- attempts ----------------------------------------------------------------------------------------------

constexpr retry_options quick{.attempts = 3, .first_delay = 1us};

class Retry : public each_home {
protected:
    /// Fails each time but the last.
    auto succeeds_at(int attempt)
    {
        return [this, attempt]() -> task<int> {
            co_await this_task::yield();
            if (++attempts != attempt)
                throw std::runtime_error(std::to_string(attempts));
            co_return attempts;
        };
    }

    int attempts = 0;
};

JOINERY_TEST_ON_EACH_HOME(Retry);

TEST_P(Retry, YieldsTheValueOfTheFirstAttemptThatSucceeds)
{
    EXPECT_EQ(home.outcome_of<int>(retry(succeeds_at(1), quick)).value(), 1);
    attempts = 0;
    EXPECT_EQ(home.outcome_of<int>(retry(succeeds_at(3), quick)).value(), 3);
}

TEST_P(Retry, ThrowsTheLastErrorAfterTheLastAttempt)
{
    const auto result = home.outcome_of<int>(retry(succeeds_at(4), quick));
    EXPECT_EQ(attempts, 3);
    ASSERT_TRUE(result.has_error());
    EXPECT_TRUE(result.error().message().ends_with("failed: 3")) << result.error();
}

TEST_P(Retry, AsksWhetherAnErrorIsWorthAnotherAttempt)
{
    std::vector<std::string> asked;
    const auto is_first = [&asked](const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::runtime_error& failure) {
            asked.emplace_back(failure.what());
        }
        return asked.size() == 1;
    };
    const auto result = home.outcome_of<int>(retry(succeeds_at(3), quick, is_first));
    ASSERT_TRUE(result.has_error());
    EXPECT_TRUE(result.error().message().ends_with("failed: 2")) << result.error();
    EXPECT_EQ(asked, (std::vector<std::string>{"1", "2"}));
}

TEST_P(Retry, TriesAgainAfterATimeLimit)
{
    const auto slow_at_first = [this] {
        const bool is_last = ++attempts == 3;
        return with_timeout(is_last ? std::chrono::milliseconds(1h) : 1ms, is_last ? give(5) : wait_forever());
    };
    EXPECT_EQ(home.outcome_of<int>(retry(slow_at_first, quick)).value(), 5);
}

TEST_P(Retry, TakesAFactoryOfEachKind)
{
    const auto awaitable = [this]() -> asio::awaitable<int> {
        if (++attempts % 2 != 0)
            throw std::runtime_error("again");
        co_return 2;
    };
    const auto function = [this] {
        if (++attempts % 2 != 0)
            throw std::runtime_error("again");
        return 3;
    };
    const auto maker = [function] { return function; };
    const auto operation = [this] { return asio::post(home.executor(), asio::deferred); };
    EXPECT_EQ(home.outcome_of<int>(retry(awaitable, quick)).value(), 2);
    EXPECT_EQ(home.outcome_of<int>(retry(function, quick)).value(), 3);
    EXPECT_EQ(home.outcome_of<int>(retry(maker, quick)).value(), 3);
    EXPECT_TRUE(home.outcome_of<void>(retry(operation, quick)).has_value());
    const auto held = home.outcome_of<std::unique_ptr<int>>(
        retry([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); }, quick));
    EXPECT_EQ(*held.value(), 4);
}

TEST_P(Retry, ThrowsWhatTheQuestionThrows)
{
    const auto throwing = [](const std::exception_ptr&) -> bool { throw std::domain_error("no answer"); };
    EXPECT_THROW(home.outcome_of<int>(retry(succeeds_at(3), quick, throwing)).value(), std::domain_error);
}

// -- in a context that is run by hand ------------------------------------------------------------------------

TEST(RetryAbort, IsNoFailureThatIsTriedAgain)
{
    asio::io_context context(1);
    manual_event event(context.get_executor());
    join_set<int> set(context);
    const abort_handle handle = set.spawn(retry([&event] { return wait(event); }, {.first_delay = 0ns}));
    poll(context);
    handle.abort();
    poll(context);
    EXPECT_EQ(event.started(), 1);
    EXPECT_EQ(cancelled_as(set.try_join_next().value().result), cancel_reason::aborted);
}

TEST(RetryAbort, EndsADelayAtOnce)
{
    asio::io_context context(1);
    join_set<int> set(context);
    int attempts = 0;
    const auto failing = [&attempts]() -> task<int> {
        ++attempts;
        throw std::runtime_error("again");
        co_return 0;
    };
    const abort_handle handle = set.spawn(retry(failing, {.first_delay = 10min}));
    poll(context);
    EXPECT_EQ(attempts, 1);
    EXPECT_FALSE(set.try_join_next());
    handle.abort();
    run(context);
    EXPECT_EQ(cancelled_as(set.try_join_next().value().result), cancel_reason::aborted);
    EXPECT_EQ(attempts, 1);
}

} // namespace
