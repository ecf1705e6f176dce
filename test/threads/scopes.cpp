// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Scopes and time limits whose tasks end, fail and are aborted on several threads at once. Each of them counts on the
// parent's locals: what comes too late is a use after free, which the sanitizers see, or a wrong sum.

#include "crowd.hpp"

#include <joinery/join_map.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/scope.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>
#include <joinery/with_timeout.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <gtest/gtest.h>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;

namespace joinery::test {
namespace {

using namespace std::chrono_literals;
using text_map = join_map<int, std::string>;

constexpr int rounds = 100;
constexpr int children = 16;

/// Counts, in the parent's frame, who lives in it. Not atomic by itself: the last one that leaves is waited for.
class lodger {
public:
    explicit lodger(std::atomic<int>& count)
        : count_(&count)
    {
        ++*count_;
    }

    lodger(lodger&& other) noexcept
        : count_(std::exchange(other.count_, nullptr))
    {
    }

    ~lodger()
    {
        if (count_)
            --*count_;
    }

    lodger& operator=(lodger&&) = delete;

private:
    std::atomic<int>* count_;
};

/// One of several ways to end, in the frame and in the result of each of which someone lives.
task<std::string> child(std::atomic<int>& count, int kind)
{
    const lodger here(count);
    switch (kind % 4) {
    case 0:
        break;
    case 1:
        co_await this_task::yield();
        break;
    case 2:
        co_await this_task::sleep_for(kind * 1us);
        break;
    default:
        co_await this_task::sleep_forever();
    }
    co_return std::string(100, 'x');
}

class Scopes : public ::testing::Test {
protected:
    watchdog no_hang_;
    asio::thread_pool pool_{3};
    runtime runtime_{2};
};

/// Spawns in both places, replaces some, joins some, and ends in a way that depends on the round.
task<int> parent(asio::any_io_executor elsewhere, int round)
{
    std::atomic<int> count = 0;
    bool failed = false;
    try {
        co_await async_scope<text_map>([&](text_map& tasks) -> task<> {
            for (int i = 0; i != children; ++i) {
                tasks.spawn(i % 12, child(count, round + i));
                tasks.spawn_on(elsewhere, 100 + i % 12, child(count, round + i));
            }
            for (int i = 0; i != round % 8; ++i) {
                if (auto joined = tasks.try_join_next(); !joined)
                    co_await this_task::yield();
            }
            if (round % 3 == 0)
                throw std::runtime_error("the body's");
            tasks.spawn(1000, []() -> task<std::string> {
                co_await this_task::yield();
                throw std::runtime_error("the task's");
            });
        });
    } catch (const std::runtime_error&) {
        failed = true;
    }
    EXPECT_TRUE(failed);
    co_return count.load();
}

TEST_F(Scopes, AreLeftWhenNobodyLivesInTheirParentAnyMore)
{
    join_set<int> parents(pool_);
    for (int round = 0; round != rounds; ++round) {
        parents.spawn(parent(runtime_.get_executor(), round));
        parents.spawn_on(runtime_, parent(pool_.get_executor(), round));
    }
    auto all = parents.async_join_all(asio::use_future).get();
    ASSERT_EQ(all.size(), 2u * rounds);
    for (auto& each : all)
        EXPECT_EQ(each.result.value(), 0);
}

TEST_F(Scopes, AreLeftOnlyThenWhenTheirParentIsAbortedAtAnyMoment)
{
    std::atomic<int> left_early = 0;
    // Its destructor looks at who still lives in the frame of which it is a part.
    struct frame {
        explicit frame(std::atomic<int>& wrong)
            : left_early(wrong)
        {
        }

        ~frame()
        {
            left_early += count != 0;
        }

        frame(const frame&) = delete;
        frame& operator=(const frame&) = delete;

        std::atomic<int> count = 0;
        std::atomic<int>& left_early;
    };
    join_map<int, int> parents(pool_);
    for (int round = 0; round != rounds; ++round) {
        const bool here = round % 2 == 0;
        const asio::any_io_executor elsewhere =
            here ? asio::any_io_executor(runtime_.get_executor()) : asio::any_io_executor(pool_.get_executor());
        std::atomic<bool> begun = false;
        auto work = [&begun, &left_early, elsewhere, round]() -> task<int> {
            frame local(left_early);
            co_await async_scope<text_map>([&](text_map& tasks) -> task<> {
                for (int i = 0; i != children; ++i) {
                    tasks.spawn(i, child(local.count, round + i));
                    tasks.spawn_on(elsewhere, 100 + i, child(local.count, round + i));
                }
                begun = true;
                if (round % 3 == 0)
                    co_return;
                while (co_await tasks.async_join_next()) {
                }
            });
            co_return 0;
        };
        const abort_handle handle =
            here ? parents.spawn(round, std::move(work)) : parents.spawn_on(runtime_, round, std::move(work));
        wait_until([&] { return begun.load(); });
        for (int i = 0; i != round; ++i)
            std::this_thread::yield();
        handle.abort();
        const auto joined = parents.async_join_next(asio::use_future).get();
        ASSERT_TRUE(joined);
        EXPECT_TRUE(joined->result.has_error());
    }
    EXPECT_EQ(left_early, 0);
}

TEST_F(Scopes, HaveTheirTasksSpreadOverAPool)
{
    join_set<int> parents(pool_);
    parents.spawn([]() -> task<int> {
        co_await this_task::sleep_for(1us); // has a strand from now on
        std::latch both(2);
        co_await async_scope<join_set<int>>([&](join_set<int>& tasks) {
            for (int i = 0; i != 2; ++i) {
                tasks.spawn([&both] {
                    both.arrive_and_wait(); // for ever, if they run one after the other
                    return 0;
                });
            }
        });
        co_return 1;
    });
    EXPECT_EQ(parents.async_join_next(asio::use_future).get()->result.value(), 1);
}

TEST_F(Scopes, InAwaitablesOfAPoolHaveTheirTasksSpreadToo)
{
    auto parent = []() -> asio::awaitable<int> {
        std::latch both(2);
        co_return co_await async_scope<join_set<int>>([&](join_set<int>& tasks) {
            for (int i = 0; i != 2; ++i) {
                tasks.spawn([&both] {
                    both.arrive_and_wait();
                    return 0;
                });
            }
            return 1;
        });
    };
    EXPECT_EQ(asio::co_spawn(pool_, parent(), asio::use_future).get(), 1);
    join_set<int> parents(pool_);
    parents.spawn(parent()); // on the strand of a task
    EXPECT_EQ(parents.async_join_next(asio::use_future).get()->result.value(), 1);
}

TEST_F(Scopes, EndWithTheirContextWhateverTheirTasksDo)
{
    for (int round = 0; round != 40; ++round) {
        std::optional<asio::thread_pool> mortal(std::in_place, 2);
        std::atomic<int> begun = 0;
        std::atomic<int> lives = 0;
        join_set<int> parents(*mortal);
        for (int i = 0; i != 4; ++i) {
            parents.spawn([&begun, &lives, round]() -> task<int> {
                const lodger in_test(lives);
                std::atomic<int> count = 0;
                co_await async_scope<text_map>([&](text_map& tasks) -> task<> {
                    for (int j = 0; j != children; ++j)
                        tasks.spawn(j, child(count, round + j));
                    ++begun;
                    if (round % 2 == 0)
                        co_await this_task::sleep_forever();
                });
                co_return 0;
            });
        }
        wait_until([&] { return begun > round % 4; });
        mortal->stop();
        mortal.reset();
        EXPECT_EQ(lives, 0);
        for (int i = 0; i != 4; ++i)
            EXPECT_TRUE(parents.try_join_next());
    }
}

TEST_F(Scopes, MayRaceWithTimeLimits)
{
    std::atomic<int> lives = 0;
    join_set<int> parents(pool_);
    for (int round = 0; round != 2 * rounds; ++round) {
        auto work = [&lives, round]() -> task<int> {
            const lodger in_test(lives);
            std::atomic<int> count = 0;
            try {
                co_await with_timeout(round % 20 * 10us, [&count, round]() -> task<> {
                    std::atomic<int> inner = 0;
                    co_await async_scope<text_map>([&](text_map& tasks) {
                        for (int i = 0; i != 6; ++i)
                            tasks.spawn(i, child(i % 2 == 0 ? inner : count, round + i));
                    });
                });
            } catch (const task_cancelled& error) {
                EXPECT_EQ(error.reason(), cancel_reason::timed_out);
            }
            co_return count.load();
        };
        if (round % 2 == 0)
            parents.spawn(std::move(work));
        else
            parents.spawn_on(runtime_, std::move(work));
    }
    for (auto& each : parents.async_join_all(asio::use_future).get())
        EXPECT_EQ(each.result.value(), 0);
    EXPECT_EQ(lives, 0);
}

} // namespace
} // namespace joinery::test
