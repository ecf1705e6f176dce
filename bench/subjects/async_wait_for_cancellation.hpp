// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <type_traits>
#include <utility>

namespace bench {

/// Completes when it is cancelled, and never else: the least that an awaitable can wait for.
/**
 * Asio has no such operation, and a timer that never expires, which programs use in its place, would charge the awaitable
 * for a heap of timers that neither tokio's `pending()` nor joinery's `sleep_forever()` has.
 */
template<class Token>
auto async_wait_for_cancellation(Token&& token)
{
    const auto initiate = [](auto handler) {
        struct on_cancel {
            decltype(handler) handler_;

            void operator()(boost::asio::cancellation_type_t)
            {
                const boost::system::error_code aborted = boost::asio::error::operation_aborted;
                boost::asio::post(boost::asio::append(std::move(handler_), aborted));
            }
        };
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        slot.template emplace<on_cancel>(on_cancel{std::move(handler)});
    };
    return boost::asio::async_initiate<Token, void(boost::system::error_code)>(initiate, token);
}

} // namespace bench
