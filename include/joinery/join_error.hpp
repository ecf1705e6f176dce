// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/task_id.hpp>

#include <boost/assert.hpp>
#include <boost/assert/source_location.hpp>
#include <boost/system/result.hpp>

#include <exception>
#include <ostream>
#include <string>
#include <utility>

namespace joinery {

/// Why a task has no value: it was cancelled, or it ended with an exception. Never both.
class join_error {
public:
    /// No error, as `join_result::error()` returns for a task that has a value: neither of the two.
    join_error() noexcept = default;

    join_error(task_id id, cancel_reason reason) noexcept
        : id_(id)
        , reason_(reason)
        , cancelled_(true)
    {
    }

    /// @pre `exception` is not null.
    join_error(task_id id, std::exception_ptr exception) noexcept
        : exception_(std::move(exception))
        , id_(id)
    {
    }

    /// The task that ended so.
    task_id id() const noexcept
    {
        return id_;
    }

    bool is_cancelled() const noexcept
    {
        return cancelled_;
    }

    bool is_exception() const noexcept
    {
        return exception_ != nullptr;
    }

    /// Why the task was cancelled. @pre `is_cancelled()`
    cancel_reason reason() const noexcept
    {
        BOOST_ASSERT(is_cancelled());
        return reason_;
    }

    /// The task's own exception; null when it was cancelled.
    const std::exception_ptr& exception() const noexcept
    {
        return exception_;
    }

    /// Throws the task's own exception, or `task_cancelled`. @pre `is_cancelled() || is_exception()`
    [[noreturn]] void rethrow() const;

    /// One line for a log, such as "task 7 was cancelled: deadline passed".
    std::string message() const;

    friend std::ostream& operator<<(std::ostream& out, const join_error& error)
    {
        return out << error.message();
    }

private:
    std::exception_ptr exception_;
    task_id id_;
    cancel_reason reason_ = cancel_reason::aborted;
    bool cancelled_ = false;
};

/// What `join_result<T>::value()` throws for a task that was cancelled.
class task_cancelled : public std::exception {
public:
    explicit task_cancelled(const join_error& error)
        : message_(error.message())
        , id_(error.id())
        , reason_(error.reason())
    {
    }

    const char* what() const noexcept override
    {
        return message_.c_str();
    }

    task_id id() const noexcept
    {
        return id_;
    }

    cancel_reason reason() const noexcept
    {
        return reason_;
    }

private:
    std::string message_;
    task_id id_;
    cancel_reason reason_;
};

/// The outcome of a task: its value, or why it has none.
/**
 * `value()` returns the value, rethrows the task's own exception, or throws `task_cancelled`.
 * `T` may be `void`, move-only, and not default-constructible.
 */
template<class T>
using join_result = boost::system::result<T, join_error>;

inline void join_error::rethrow() const
{
    BOOST_ASSERT(is_cancelled() || is_exception());
    if (exception_)
        std::rethrow_exception(exception_);
    throw task_cancelled(*this);
}

inline std::string join_error::message() const
{
    std::string text = "task " + std::to_string(id_.value());
    if (is_cancelled())
        return text.append(" was cancelled: ").append(to_string(reason_));
    if (!is_exception())
        return "no error";
    text += " failed: ";
    try {
        std::rethrow_exception(exception_);
    } catch (const std::exception& e) {
        return text += e.what();
    } catch (...) {
        return text += "an exception that is not a std::exception";
    }
}

/// Found by `boost::system::result` when `value()` is asked of a task that has none.
[[noreturn]] inline void throw_exception_from_error(const join_error& error, const boost::source_location&)
{
    error.rethrow();
}

} // namespace joinery
