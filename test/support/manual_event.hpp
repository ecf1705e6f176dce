// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace joinery::test {

/// What an operation does when it is cancelled.
enum class when_cancelled { ends, goes_on };

/// An asynchronous operation, one at a time, that completes when it is told to. One thread.
/** It belongs to no execution context, and does not count as work. */
class manual_event {
public:
    explicit manual_event(boost::asio::any_io_executor executor, when_cancelled reaction = when_cancelled::ends)
        : executor_(std::move(executor))
        , reaction_(reaction)
    {
    }

    manual_event(const manual_event&) = delete;
    manual_event& operator=(const manual_event&) = delete;

    ~manual_event()
    {
        drop();
    }

    template<class Token = boost::asio::deferred_t>
    auto async_wait(Token&& token = Token())
    {
        return boost::asio::async_initiate<Token, void(boost::system::error_code)>(
            [this](auto&& handler) { this->start(std::forward<decltype(handler)>(handler)); }, token);
    }

    bool is_waiting() const noexcept
    {
        return handler_ != nullptr;
    }

    int started() const noexcept
    {
        return started_;
    }

    /// How often the operation was asked to end.
    int cancellations() const noexcept
    {
        return cancellations_;
    }

    boost::asio::cancellation_type cancellation() const noexcept
    {
        return cancellation_;
    }

    /// Ends the operation: its handler is posted to its executor.
    void complete(boost::system::error_code error = {})
    {
        take()->post(error);
    }

    /// Ends the operation as no well-behaved one does: its handler is called on the spot.
    void complete_here(boost::system::error_code error = {})
    {
        take()->call(error);
    }

    /// Destroys the handler without calling it.
    void drop()
    {
        handler_.reset();
    }

private:
    struct pending {
        virtual ~pending() = default;
        virtual void post(boost::system::error_code error) = 0;
        virtual void call(boost::system::error_code error) = 0;
    };

    // Asks the handler for its executor as late as it can: it may outlive the executor's context.
    template<class Handler>
    struct pending_of final : pending {
        pending_of(Handler&& given, const boost::asio::any_io_executor& executor)
            : handler(std::move(given))
            , otherwise(executor)
        {
        }

        void post(boost::system::error_code error) override
        {
            const auto executor = boost::asio::get_associated_executor(handler, otherwise);
            boost::asio::post(executor, [taken = std::move(handler), error]() mutable { std::move(taken)(error); });
        }

        void call(boost::system::error_code error) override
        {
            std::move(handler)(error);
        }

        Handler handler;
        const boost::asio::any_io_executor& otherwise;
    };

    template<class Given>
    void start(Given&& given)
    {
        using handler_type = std::decay_t<Given>;
        auto slot = boost::asio::get_associated_cancellation_slot(given);
        handler_type handler(std::forward<Given>(given));
        handler_ = std::make_unique<pending_of<handler_type>>(std::move(handler), executor_);
        ++started_;
        if (slot.is_connected())
            slot.assign([this](boost::asio::cancellation_type type) { cancel(type); });
    }

    void cancel(boost::asio::cancellation_type type)
    {
        ++cancellations_;
        cancellation_ = type;
        if (reaction_ == when_cancelled::ends && handler_)
            complete(boost::asio::error::operation_aborted);
    }

    // The slot keeps its function: it may be the one that runs, and asks for nothing once the handler has gone.
    std::unique_ptr<pending> take()
    {
        return std::move(handler_);
    }

    boost::asio::any_io_executor executor_;
    when_cancelled reaction_;
    std::unique_ptr<pending> handler_;
    int started_ = 0;
    int cancellations_ = 0;
    boost::asio::cancellation_type cancellation_ = boost::asio::cancellation_type::none;
};

} // namespace joinery::test
