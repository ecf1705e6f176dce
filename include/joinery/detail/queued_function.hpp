// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/block_cache.hpp>

#include <atomic>
#include <new>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// A function on its way to where it is called, once, or destroyed uncalled. One block of memory, with its link.
class queued_function {
public:
    /// @throws std::bad_alloc, and what copying or moving the function throws
    template<class F>
    static queued_function& make(F&& function)
    {
        using model = model_of<std::decay_t<F>>;
        static_assert(alignof(model) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        void* const memory = block_cache::allocate(sizeof(model));
        try {
            return *::new (memory) model(std::forward<F>(function));
        } catch (...) {
            block_cache::deallocate(memory, sizeof(model));
            throw;
        }
    }

    queued_function(const queued_function&) = delete;
    queued_function& operator=(const queued_function&) = delete;

    /// Frees the memory, then calls the function. @throws what the function throws
    void call()
    {
        finish_(*this, true);
    }

    void discard() noexcept
    {
        finish_(*this, false);
    }

private:
    friend class function_list;
    friend class function_stack;

    using finish = void (*)(queued_function&, bool);

    template<class F>
    struct model_of;

    explicit queued_function(finish how) noexcept
        : finish_(how)
    {
    }

    ~queued_function() = default;

    queued_function* next_ = nullptr;
    finish finish_;
};

template<class F>
struct queued_function::model_of final : queued_function {
    template<class Given>
    explicit model_of(Given&& given)
        : queued_function(&finish)
        , function(std::forward<Given>(given))
    {
    }

    static void finish(queued_function& self, bool call)
    {
        model_of& model = static_cast<model_of&>(self);
        F function(std::move(model.function));
        model.~model_of();
        block_cache::deallocate(&model, sizeof(model_of));
        if (call)
            std::move(function)();
    }

    F function;
};

/// Functions in the order in which they are to be called.
class function_list {
public:
    function_list() noexcept = default;

    function_list(function_list&& other) noexcept
        : first_(std::exchange(other.first_, nullptr))
        , last_(other.last_)
    {
    }

    function_list& operator=(function_list&&) = delete;

    ~function_list()
    {
        while (!empty())
            pop_front().discard();
    }

    bool empty() const noexcept
    {
        return first_ == nullptr;
    }

    /// @pre `!empty()`
    queued_function& pop_front() noexcept
    {
        return *std::exchange(first_, first_->next_);
    }

    void append(function_list&& other) noexcept
    {
        if (other.empty())
            return;
        (first_ ? last_->next_ : first_) = std::exchange(other.first_, nullptr);
        last_ = other.last_;
    }

private:
    friend class function_stack;

    queued_function* first_ = nullptr;
    queued_function* last_ = nullptr; // of a list that is not empty
};

/// Functions that any thread may push, and one at a time takes, all at once.
/** Release on the push and acquire on the taking hand the functions over. Who takes must know that there are some. */
class function_stack {
public:
    void push(queued_function& function) noexcept
    {
        queued_function* top = top_.load(std::memory_order_relaxed);
        do {
            function.next_ = top;
        } while (!top_.compare_exchange_weak(top, &function, std::memory_order_release, std::memory_order_relaxed));
    }

    /// In the order of pushing.
    function_list take() noexcept
    {
        function_list list;
        queued_function* top = top_.exchange(nullptr, std::memory_order_acquire);
        list.last_ = top;
        while (top) {
            queued_function* const below = std::exchange(top->next_, list.first_);
            list.first_ = std::exchange(top, below);
        }
        return list;
    }

private:
    std::atomic<queued_function*> top_{nullptr};
};

} // namespace joinery::detail
