// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <run.hpp>

#include <joinery/join_error.hpp>
#include <joinery/join_set.hpp>
#include <joinery/local_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>
#include <joinery/this_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/error_code.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <ostream>
#include <source_location>
#include <stdexcept>
#include <thread>
#include <utility>

namespace joinery::test {

/// Each kind of executor on which tasks live in their own way.
enum class home_kind { io_context, strand, local_set, thread_pool, runtime };

inline std::ostream& operator<<(std::ostream& out, home_kind kind)
{
    constexpr const char* names[] = {"io_context", "strand", "local_set", "thread_pool", "runtime"};
    return out << names[static_cast<int>(kind)];
}

/// An executor of a given kind, and what runs it: the calling thread for the first three, two others for the rest.
class any_home {
public:
    explicit any_home(home_kind kind)
    {
        switch (kind) {
        case home_kind::io_context:
            context_ = &own_.emplace(1);
            executor_ = context_->get_executor();
            break;
        case home_kind::strand:
            context_ = &own_.emplace(1);
            executor_ = boost::asio::make_strand(*context_);
            break;
        case home_kind::local_set:
            executor_ = local_.emplace().get_executor();
            break;
        case home_kind::thread_pool:
            executor_ = pool_.emplace(2).get_executor();
            break;
        case home_kind::runtime:
            executor_ = runtime_.emplace(2).get_executor();
            break;
        }
    }

    const boost::asio::any_io_executor& executor() const noexcept
    {
        return executor_;
    }

    /// Whether its tasks run on the thread of the test, and only when it says so.
    bool is_on_this_thread() const noexcept
    {
        return context_ || local_;
    }

    /// Runs tasks until a condition holds, which they may change on their own threads.
    template<class Condition>
    void run_until(Condition condition, std::source_location where = std::source_location::current())
    {
        if (context_)
            return test::run_until(*context_, condition, where);
        const auto deadline = std::chrono::steady_clock::now() + patience;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) {
                ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "the condition never holds";
                return;
            }
            if (local_)
                local_->run_until([]() -> task<> { co_await this_task::yield(); });
            else
                std::this_thread::yield();
        }
    }

    /// The value of a future that tasks see to.
    template<class T>
    T get(std::future<T> future, std::source_location where = std::source_location::current())
    {
        const auto is_ready = [&future] {
            return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
        };
        if (is_on_this_thread())
            run_until(is_ready, where);
        return test::get(std::move(future), where);
    }

    /// The outcome of work that is spawned here.
    template<class V, class Work>
    join_result<V> outcome_of(Work&& work, std::source_location where = std::source_location::current())
    {
        join_set<V> set(executor_);
        set.spawn(std::forward<Work>(work));
        return next_of(set, where);
    }

    /// The next outcome of a set that was made for this executor.
    template<class V>
    join_result<V> next_of(join_set<V>& set, std::source_location where = std::source_location::current())
    {
        using result = join_result<V>;
        const auto promise = std::make_shared<std::promise<result>>();
        // Not use_future, whose handlers run elsewhere and keep no context at work.
        set.async_join_next([promise](boost::system::error_code error, auto next) {
            if (error || !next)
                promise->set_exception(std::make_exception_ptr(std::logic_error("there was nothing to join")));
            else
                promise->set_value(std::move(next->result));
        });
        return get(promise->get_future(), where);
    }

private:
    std::optional<boost::asio::io_context> own_;
    std::optional<local_set> local_;
    std::optional<boost::asio::thread_pool> pool_;
    std::optional<runtime> runtime_;
    boost::asio::io_context* context_ = nullptr;
    boost::asio::any_io_executor executor_;
};

/// A test that is run on each kind of home.
class each_home : public testing::TestWithParam<home_kind> {
public:
    any_home home{GetParam()};
};

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): GoogleTest's own
#define JOINERY_TEST_ON_EACH_HOME(suite)                                                                               \
    INSTANTIATE_TEST_SUITE_P(Homes, suite,                                                                             \
                             testing::Values(joinery::test::home_kind::io_context, joinery::test::home_kind::strand,   \
                                             joinery::test::home_kind::local_set,                                      \
                                             joinery::test::home_kind::thread_pool,                                    \
                                             joinery::test::home_kind::runtime),                                       \
                             [](const auto& tested) { return testing::PrintToString(tested.param); })

} // namespace joinery::test
