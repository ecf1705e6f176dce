// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Shutting a set or map down with a grace period.

#include <joinery/block_on.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/this_task.hpp>

#include <ended.hpp>
#include <homes.hpp>
#include <run.hpp>
#include <work.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/error_code.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <semaphore>
#include <stop_token>
#include <vector>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;
using namespace std::chrono_literals;

namespace {

using ending_map = join_map<int, int>;
struct EndsBase : testing::Test {
    asio::io_context context;
    std::optional<ending_map> map{context};
    manual_event event{context.get_executor()};
    manual_event late{context.get_executor(), when_cancelled::goes_on};
    ended_join<ending_map> first;
    ended_join<ending_map> second;
};

// -- shutting down with a grace period -------------------------------------------------------------------------

struct GracefulShutdown : EndsBase {
    using left = ending_map::unfinished_tasks;

    /// A task that comes to an end when it is asked to, after `late`.
    auto obey()
    {
        return [this]() -> task<int> {
            const std::stop_token token = co_await this_task::stop_token();
            const std::stop_callback asked(token, [this] { late.complete(); });
            co_await late.async_wait();
            EXPECT_TRUE(token.stop_requested());
            co_return 7;
        };
    }

    /// A task that holds back its abort until `late`.
    auto hold_out(manual_event& until)
    {
        return [&until]() -> task<int> {
            const auto hold = co_await this_task::hold_abort();
            co_await until.async_wait();
            co_return 8;
        };
    }

    ended<left> shutdown;
};

TEST_F(GracefulShutdown, EndsWhenTheTasksHaveDoneWhatTheyWereAskedFor)
{
    map->spawn(1, obey());
    poll(context);
    map->async_shutdown(1h, 1h, shutdown.handler());
    EXPECT_FALSE(shutdown.is_over());
    EXPECT_TRUE(map->is_closed());
    run(context); // without the hour
    EXPECT_FALSE(shutdown.error());
    EXPECT_TRUE(shutdown.value().listed.empty());
    EXPECT_EQ(shutdown.value().replaced, 0u);
    EXPECT_EQ(late.cancellations(), 0);
    EXPECT_TRUE(map->empty());
}

TEST_F(GracefulShutdown, AbortsWhoDoesNotObey)
{
    map->spawn(1, wait(event));
    map->spawn(2, wait_forever());
    const abort_handle second_task = *map->find(2);
    poll(context);
    map->async_shutdown(1ns, 1h, shutdown.handler());
    run(context);
    EXPECT_TRUE(shutdown.value().listed.empty());
    EXPECT_EQ(event.cancellations(), 1);
    EXPECT_TRUE(second_task.is_finished());
}

TEST_F(GracefulShutdown, ReportsWhoIsLeftByItsKey)
{
    manual_event other(context.get_executor(), when_cancelled::goes_on);
    const abort_handle held = map->spawn(1, hold_out(late));
    map->spawn(2, give(2));
    map->spawn(3, wait(other)); // its operation does not end, either
    poll(context);
    map->async_shutdown(1ns, 1ns, shutdown.handler());
    run(context);
    EXPECT_FALSE(shutdown.error());
    auto left_over = shutdown.value().listed;
    std::ranges::sort(left_over);
    EXPECT_EQ(left_over, (std::vector{1, 3}));
    EXPECT_EQ(shutdown.value().replaced, 0u);
    EXPECT_TRUE(map->empty());
    EXPECT_FALSE(held.is_finished());
    late.complete();
    other.complete();
    run(context);
    EXPECT_TRUE(held.is_finished());
}

TEST_F(GracefulShutdown, CountsThoseWhoWereReplacedAndHaveNotEnded)
{
    map->spawn(1, wait(late));
    poll(context);
    map->spawn(1, give(2));
    map->async_shutdown(0ns, 1ns, shutdown.handler());
    run(context);
    EXPECT_TRUE(shutdown.value().listed.empty());
    EXPECT_EQ(shutdown.value().replaced, 1u);
    late.complete();
    run(context);
}

TEST_F(GracefulShutdown, WithoutGraceAbortsAtOnce)
{
    map->spawn(1, wait(event));
    poll(context);
    map->async_shutdown(0ns, 1h, shutdown.handler());
    poll(context);
    EXPECT_EQ(event.cancellations(), 1);
    run(context);
    EXPECT_TRUE(shutdown.value().listed.empty());
}

TEST_F(GracefulShutdown, EndsTasksThatHaveNotStartedAtOnce)
{
    bool entered = false;
    const auto enter = [&entered] { return entered = true, 0; };
    map->set_limits({.running = 1});
    map->spawn(1, wait(event, 1));
    map->spawn(2, enter); // waits for room
    map->spawn(3, enter, {.delay = 1h});
    map->spawn(1, enter, {.conflict = on_conflict::queue_latest});
    poll(context);
    map->async_shutdown(1h, 1h, shutdown.handler());
    poll(context);
    for (int i = 0; i != 3; ++i) {
        const auto joined = map->try_join_next();
        ASSERT_TRUE(joined);
        EXPECT_EQ(cancelled_as(joined->result), cancel_reason::shutdown);
    }
    EXPECT_EQ(map->size(), 1u);
    EXPECT_FALSE(shutdown.is_over());
    event.complete();
    run(context);
    EXPECT_FALSE(entered);
    EXPECT_TRUE(shutdown.is_over());
}

TEST_F(GracefulShutdown, LetsADetachedTaskThatWaitsGoItsWay)
{
    bool entered = false;
    map->set_limits({.running = 1});
    map->spawn(1, wait(event, 1));
    map->spawn(2, [&entered] { return entered = true, 0; });
    map->detach(2);
    poll(context);
    map->async_shutdown(0ns, 1h, shutdown.handler());
    run(context);
    EXPECT_TRUE(shutdown.is_over());
    EXPECT_TRUE(entered);
}

TEST_F(GracefulShutdown, StopsTheTokensOfFunctionsOnABlockingPool)
{
    blocking_pool pool;
    std::binary_semaphore runs(0);
    map->spawn_blocking_on(pool, 1, [&](std::stop_token token) {
        std::binary_semaphore asked(0);
        const std::stop_callback release(token, [&] { asked.release(); });
        runs.release();
        asked.acquire();
        return 1;
    });
    runs.acquire();
    map->async_join_next(first.handler());
    map->async_shutdown(1h, 1h, shutdown.handler());
    run(context);
    EXPECT_TRUE(shutdown.value().listed.empty());
    EXPECT_EQ(first.joined().result.value(), 1);
}

TEST_F(GracefulShutdown, JoinsGetOutcomesUntilItIsOver)
{
    map->spawn(1, obey());
    poll(context);
    map->async_join(1, first.handler());
    map->async_join_until_closed(second.handler());
    map->async_shutdown(1h, 1h, shutdown.handler());
    run(context);
    EXPECT_EQ(first.joined().result.value(), 7);
    EXPECT_TRUE(second.is_nothing());
    EXPECT_TRUE(shutdown.is_over());
}

TEST_F(GracefulShutdown, LeavesNothingUnjoinedForATaskThatLoopsOverMoreThanItsTurn)
{
    constexpr int many = 1'000;
    int joined = 0;
    block_on([&]() -> task<> {
        const asio::any_io_executor here = co_await asio::this_coro::executor;
        ending_map tasks(here);
        join_set<void> joiner(here);
        joiner.spawn([&]() -> task<> {
            while (co_await tasks.async_join_until_closed())
                ++joined;
        });
        co_await this_task::yield();
        for (int i = 0; i != many; ++i)
            tasks.spawn(i, give(i), {.delay = 1h}); // each ends at once when the shutdown begins
        const auto unfinished = co_await tasks.async_shutdown(1h, 1h);
        EXPECT_TRUE(unfinished.listed.empty());
        co_await joiner.async_join_next();
    });
    EXPECT_EQ(joined, many);
}

TEST_F(GracefulShutdown, WhenCancelledHasAskedAllTheSame)
{
    asio::cancellation_signal signal;
    map->spawn(1, wait(event, 1));
    poll(context);
    map->async_shutdown(1h, 1h, asio::bind_cancellation_slot(signal.slot(), shutdown.handler()));
    poll(context);
    signal.emit(asio::cancellation_type::terminal);
    run(context); // whose timer has nothing to wait for
    EXPECT_EQ(shutdown.error(), asio::error::operation_aborted);
    EXPECT_TRUE(map->is_closed());
    EXPECT_EQ(map->size(), 1u);
    shutdown.forget();
    map->async_shutdown(1ns, 1h, shutdown.handler());
    run(context);
    EXPECT_FALSE(shutdown.error());
    EXPECT_EQ(event.cancellations(), 1);
}

TEST_F(GracefulShutdown, EndsAsAbortedWhenTheMapIsDestroyed)
{
    map->spawn(1, hold_out(late));
    poll(context);
    map->async_shutdown(1h, 1h, shutdown.handler());
    poll(context);
    map.reset();
    run(context);
    EXPECT_EQ(shutdown.error(), asio::error::operation_aborted);
    late.complete();
    run(context);
}

TEST_F(GracefulShutdown, OfASetReportsIds)
{
    join_set<int> set(context);
    ended<join_set<int>::unfinished_tasks> end;
    const abort_handle held = set.spawn(hold_out(late));
    poll(context);
    set.async_shutdown(1ns, 1ns, end.handler());
    run(context);
    EXPECT_EQ(end.value().listed, std::vector{held.id()});
    late.complete();
    run(context);
}

class GracefulShutdownOnEachHome : public each_home {};

JOINERY_TEST_ON_EACH_HOME(GracefulShutdownOnEachHome);

TEST_P(GracefulShutdownOnEachHome, EndsThoseWhoObeyAndThoseWhoDoNot)
{
    std::atomic<int> obedient{0};
    join_map<int, int> map(home.executor());
    map.set_limits({.running = 20});
    for (int i = 0; i != 20; ++i) {
        map.spawn(i, [&obedient, i]() -> task<int> {
            const std::stop_token token = co_await this_task::stop_token();
            while (i % 2 || !token.stop_requested())
                co_await this_task::yield();
            co_return ++obedient;
        });
    }
    map.spawn(20, give(0)); // has no room
    const auto over = std::make_shared<std::promise<std::size_t>>();
    map.async_shutdown(
        1ms, 1h, [over](boost::system::error_code, auto left) { over->set_value(left.listed.size() + left.replaced); });
    EXPECT_EQ(home.get(over->get_future()), 0u);
    EXPECT_LE(obedient, 10);
    EXPECT_TRUE(map.empty());
}

} // namespace
