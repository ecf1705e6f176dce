// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <functional>
#include <stdexcept>

namespace joinery::test {

struct injected_fault : std::runtime_error {
    injected_fault()
        : std::runtime_error("injected")
    {
    }
};

/// Throws when it has been asked a given number of times.
class fault {
public:
    /// Arranges that the `count`-th question from now throws; 0 for none.
    void arm(int count) noexcept
    {
        left_ = count;
    }

    void disarm() noexcept
    {
        left_ = 0;
    }

    /// Whether it has thrown since it was armed.
    bool is_spent() const noexcept
    {
        return left_ == 0;
    }

    void ask()
    {
        if (left_ != 0 && --left_ == 0)
            throw injected_fault();
    }

private:
    int left_ = 0;
};

/// Where the keys of a test throw.
struct key_faults {
    fault hash;
    fault equal;
    fault move;
};

/// A key whose hashing, comparing and moving throw when they are told to. Not copyable.
class brittle_key {
public:
    explicit brittle_key(int value, key_faults& faults) noexcept
        : value_(value)
        , faults_(&faults)
    {
    }

    brittle_key(brittle_key&& other)
        : value_(other.value_)
        , faults_(other.faults_)
    {
        faults_->move.ask();
    }

    brittle_key& operator=(brittle_key&& other)
    {
        other.faults_->move.ask();
        value_ = other.value_;
        faults_ = other.faults_;
        return *this;
    }

    int value() const noexcept
    {
        return value_;
    }

    key_faults& faults() const noexcept
    {
        return *faults_;
    }

private:
    int value_;
    key_faults* faults_;
};

struct brittle_hash {
    std::size_t operator()(const brittle_key& key) const
    {
        key.faults().hash.ask();
        return std::hash<int>()(key.value());
    }
};

struct brittle_equal {
    bool operator()(const brittle_key& a, const brittle_key& b) const
    {
        a.faults().equal.ask();
        return a.value() == b.value();
    }
};

} // namespace joinery::test
