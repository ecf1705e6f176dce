// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/system/error_code.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <utility>

namespace joinery::test {

/// How an asynchronous operation has ended, and with what. Its handler refers to this. One thread.
template<class T>
class ended {
public:
    ended() = default;
    ended(const ended&) = delete;
    ended& operator=(const ended&) = delete;

    auto handler()
    {
        return [this](boost::system::error_code error, T value) {
            EXPECT_FALSE(is_over()) << "called twice";
            error_ = error;
            value_.emplace(std::move(value));
        };
    }

    bool is_over() const noexcept
    {
        return value_.has_value();
    }

    boost::system::error_code error() const
    {
        if (!is_over())
            throw std::logic_error("the operation is not over");
        return error_;
    }

    /// What came with the error, or without.
    T& value()
    {
        return value_.value();
    }

    void forget()
    {
        value_.reset();
    }

private:
    boost::system::error_code error_;
    std::optional<T> value_;
};

/// What a join of a set or map has yielded.
template<class Group>
class ended_join : public ended<std::optional<typename Group::joined>> {
public:
    /// The outcome. @throws std::logic_error if the join is not over, has failed, or has found nothing
    auto& joined()
    {
        if (this->error() || !this->value())
            throw std::logic_error("nothing was joined: " + this->error().message());
        return *this->value();
    }

    /// Whether there was nothing to join.
    bool is_nothing()
    {
        return this->is_over() && !this->error() && !this->value();
    }
};

} // namespace joinery::test
