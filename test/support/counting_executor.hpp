// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/serial_executor.hpp>

#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace joinery::test {

/// What an executor has done, and what it is to do next.
struct executor_record {
    std::size_t posts = 0;             ///< functions that it was given
    bool refuses = false;              ///< to throw `executor_refused` for each function
    bool drops = false;                ///< to destroy each function
    std::size_t refuse_at = 0;         ///< to refuse the post with this number, the first being 1
    std::function<void()> before_work; ///< to be called before a copy of it counts as outstanding work
};

struct executor_refused : std::runtime_error {
    executor_refused()
        : std::runtime_error("the executor refuses")
    {
    }
};

/// An executor that counts what it is given to run, and that can be told to refuse or to drop it.
/** `Serial` is whether `joinery` knows that it runs one function at a time. Its context must be run by one thread. */
template<bool Serial, class Inner = boost::asio::io_context::executor_type>
class counting_executor {
public:
    counting_executor(const Inner& inner, executor_record& record) noexcept
        : inner_(inner)
        , record_(&record)
    {
    }

    counting_executor(boost::asio::io_context& context, executor_record& record) noexcept
        requires std::is_same_v<Inner, boost::asio::io_context::executor_type>
        : counting_executor(context.get_executor(), record)
    {
    }

    template<class Property>
        requires boost::asio::can_require<const Inner&, Property>::value
    auto require(const Property& property) const
    {
        if constexpr (std::is_same_v<Property, boost::asio::execution::outstanding_work_t::tracked_t>) {
            if (record_->before_work)
                record_->before_work();
        }
        auto inner = boost::asio::require(inner_, property);
        return counting_executor<Serial, decltype(inner)>(inner, *record_);
    }

    template<class Property>
        requires boost::asio::can_query<const Inner&, Property>::value
    decltype(auto) query(const Property& property) const
    {
        return boost::asio::query(inner_, property);
    }

    template<class F>
    void execute(F&& function) const
    {
        ++record_->posts;
        if (record_->refuses || record_->posts == record_->refuse_at)
            throw executor_refused();
        if (record_->drops) {
            const std::decay_t<F> dropped(std::forward<F>(function));
            return;
        }
        inner_.execute(std::forward<F>(function));
    }

    friend bool operator==(const counting_executor& a, const counting_executor& b) noexcept
    {
        return a.inner_ == b.inner_ && a.record_ == b.record_;
    }

private:
    Inner inner_;
    executor_record* record_;
};

using serial_counting_executor = counting_executor<true>;
using concurrent_counting_executor = counting_executor<false>;

} // namespace joinery::test

template<class Inner>
inline constexpr bool joinery::enable_serial_executor<joinery::test::counting_executor<true, Inner>> = true;
