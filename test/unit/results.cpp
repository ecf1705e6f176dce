// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Outcomes that go to a function, or to nobody.

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>

#include <ended.hpp>
#include <homes.hpp>
#include <run.hpp>
#include <tracked.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

struct Consume : testing::Test {
    using map_type = join_map<int, int>;

    asio::io_context context;
    std::optional<map_type> map{context};
    std::vector<int> keys;
};

TEST_F(Consume, HandsEachOutcomeToTheFunctionAsItComes)
{
    manual_event event(context.get_executor());
    map->spawn(1, give(1)); // before
    map->consume([this](map_type::joined joined) { keys.push_back(joined.key); });
    EXPECT_TRUE(keys.empty());
    map->spawn(2, wait(event));
    poll(context);
    EXPECT_EQ(keys, std::vector{1});
    map->spawn(3, wait_forever());
    map->abort(3);
    poll(context);
    event.complete();
    poll(context);
    EXPECT_EQ(keys, (std::vector{1, 3, 2}));
    EXPECT_TRUE(map->empty());
}

TEST_F(Consume, KeepsTheExecutorAtWorkUntilTheMapIsClosedAndEmptyOrGone)
{
    for (const bool closes : {true, false}) {
        const auto function = std::make_shared<int>();
        map_type other(context);
        manual_event event(context.get_executor(), when_cancelled::goes_on);
        std::optional<map_type> consumed(context);
        consumed->consume([function](map_type::joined&&) {});
        consumed->spawn(1, wait(event));
        poll(context);
        EXPECT_FALSE(context.stopped());
        if (closes)
            consumed->close();
        else
            consumed.reset();
        poll(context);
        EXPECT_EQ(context.stopped(), !closes);
        event.complete();
        run(context);
        EXPECT_EQ(function.use_count(), 1);
    }
}

TEST_F(Consume, GivesOthersTheirTurnAmongMany)
{
    bool is_called = false;
    for (int i = 0; i != 1000; ++i)
        map->spawn(i, give(i));
    poll(context);
    map->consume([&](map_type::joined joined) {
        if (keys.empty())
            asio::post(context, [&] { is_called = true; });
        if (joined.key == 999) {
            EXPECT_TRUE(is_called);
        }
        keys.push_back(joined.key);
    });
    poll(context);
    EXPECT_EQ(keys.size(), 1000u);
    EXPECT_TRUE(std::ranges::is_sorted(keys));
}

TEST_F(Consume, GoesOnAfterAFunctionThatThrows)
{
    for (int i = 0; i != 5; ++i)
        map->spawn(i, give(i));
    map->consume([this](map_type::joined joined) {
        keys.push_back(joined.key);
        if (joined.key % 2)
            throw std::runtime_error("odd");
    });
    int thrown = 0;
    for (int i = 0; i != 10; ++i) { // more often than it can throw
        try {
            poll(context);
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    EXPECT_EQ(thrown, 2);
    EXPECT_EQ(keys, (std::vector{0, 1, 2, 3, 4}));
    map->close();
    run(context);
}

TEST_F(Consume, TheFunctionMaySpawnAndClose)
{
    map->consume([this](map_type::joined joined) {
        keys.push_back(joined.key);
        if (joined.key == 3)
            map->close();
        else
            map->spawn(joined.key + 1, give(0));
    });
    map->spawn(1, give(0));
    run(context);
    EXPECT_EQ(keys, (std::vector{1, 2, 3}));
}

TEST_F(Consume, TheFunctionMayDestroyTheMap)
{
    map->consume([this](map_type::joined joined) {
        keys.push_back(joined.key);
        map.reset();
    });
    map->spawn(1, give(0));
    map->spawn(2, give(0));
    run(context);
    EXPECT_EQ(keys.size(), 1u);
}

TEST_F(Consume, EndsWithTheContext)
{
    const auto function = std::make_shared<int>();
    auto own = std::make_unique<asio::io_context>();
    map_type other(*own);
    other.consume([function](map_type::joined&&) { ADD_FAILURE(); });
    other.spawn(1, give(1));
    own.reset();
    EXPECT_EQ(function.use_count(), 1);
}

TEST(DiscardResults, KeepsNoResultAliveHoweverManyTasksRun)
{
    journal values;
    asio::io_context context;
    join_set<tracked> set(context);
    set.discard_results();
    std::size_t most = 0;
    for (int round = 0; round != 100; ++round) {
        for (int i = 0; i != 10; ++i)
            set.spawn([&] { return tracked(values); });
        poll(context);
        most = std::max(most, set.size());
        EXPECT_EQ(values.alive(), 0);
    }
    EXPECT_EQ(most, 0u);
    EXPECT_EQ(values.begun(), 1000);
    EXPECT_LE(values.most_alive(), 10);
    EXPECT_LE(set.capacity(), 64u);
    set.close();
    run(context);
}

TEST(DiscardResults, LetsSingleTasksBeWaitedFor)
{
    asio::io_context context;
    join_map<int, int> map(context);
    ended_join<join_map<int, int>> end;
    map.discard_results();
    map.spawn(1, give(1));
    map.async_join(1, end.handler());
    map.spawn(2, give(2));
    map.close();
    run(context);
    EXPECT_EQ(end.joined().result.value(), 1);
    EXPECT_TRUE(map.empty());
}

class ResultsOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(ResultsOnEachHome);

TEST_P(ResultsOnEachHome, AllAreConsumedByOneThreadAtATime)
{
    std::atomic<int> inside{0};
    std::atomic<int> consumed{0};
    int unguarded = 0;
    join_map<int, int> map(home.executor());
    map.consume([&](join_map<int, int>::joined joined) {
        EXPECT_EQ(++inside, 1);
        unguarded += joined.result.value();
        --inside;
        ++consumed;
    });
    for (int i = 0; i != 300; ++i) {
        map.spawn(i, [i]() -> task<int> {
            if (i % 3 == 0)
                co_await this_task::yield();
            co_return 1;
        });
    }
    home.run_until([&] { return consumed == 300; });
    EXPECT_EQ(unguarded, 300);
    EXPECT_TRUE(map.empty());
    map.discard_results(); // beside the other
    map.close();
}

} // namespace
