// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace joinery::detail {

/// Owned by those who hold a reference, the first of them its maker; deleted by the last.
class shared_object {
public:
    shared_object(const shared_object&) = delete;
    shared_object& operator=(const shared_object&) = delete;

    void retain(std::size_t count = 1) noexcept
    {
        references_.fetch_add(count, std::memory_order_relaxed);
    }

    /// Takes a reference, unless the last one has been given up.
    bool try_retain() noexcept
    {
        std::size_t count = references_.load(std::memory_order_relaxed);
        while (count != 0 && !references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) {
        }
        return count != 0;
    }

    void release() noexcept
    {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            destroy();
    }

protected:
    shared_object() = default;
    virtual ~shared_object() = default;

    /// Ends the object's life, and frees its memory in the way in which it was allocated.
    virtual void destroy() noexcept
    {
        delete this;
    }

private:
    std::atomic<std::size_t> references_{1};
};

/// Holds one reference to a `shared_object`.
template<class T>
class shared_reference {
public:
    shared_reference() noexcept = default;

    /// Shares `target`.
    explicit shared_reference(T& target) noexcept
        : target_(&target)
    {
        anchor(target).retain();
    }

    /// Takes over a reference that the caller held.
    static shared_reference adopt(T* target) noexcept
    {
        shared_reference reference;
        reference.target_ = target;
        return reference;
    }

    shared_reference(const shared_reference& other) noexcept
        : target_(other.target_)
    {
        if (target_)
            anchor(*target_).retain();
    }

    shared_reference(shared_reference&& other) noexcept
        : target_(other.release())
    {
    }

    template<class Derived>
        requires std::is_convertible_v<Derived*, T*>
    shared_reference(shared_reference<Derived> other) noexcept
        : target_(other.release())
    {
    }

    shared_reference& operator=(shared_reference other) noexcept
    {
        std::swap(target_, other.target_);
        return *this;
    }

    ~shared_reference()
    {
        if (target_)
            anchor(*target_).release();
    }

    /// Gives the reference up to the caller.
    T* release() noexcept
    {
        return std::exchange(target_, nullptr);
    }

    T* get() const noexcept
    {
        return target_;
    }

    /// @pre it refers to something
    T& operator*() const noexcept
    {
#if defined(__GNUC__)
        if (!target_)
            __builtin_unreachable(); // or GCC 12 sees a null reference behind it, and warns of writing there
#endif
        return *target_;
    }

    T* operator->() const noexcept
    {
        return target_;
    }

    explicit operator bool() const noexcept
    {
        return target_ != nullptr;
    }

private:
    // An object that is a part of another is kept by that one.
    static shared_object& anchor(T& target) noexcept
    {
        if constexpr (requires { target.anchor(); })
            return target.anchor();
        else
            return target;
    }

    T* target_ = nullptr;
};

} // namespace joinery::detail
