// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "../harness/blocking_owner.hpp"
#include "../harness/program.hpp"

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

namespace {

/// A coroutine with a value and a link, and nothing else.
class frame {
public:
    struct promise_type {
        std::uint64_t value = 0;
        promise_type* next = nullptr;

        frame get_return_object() noexcept
        {
            return frame(*this);
        }

        std::suspend_always initial_suspend() const noexcept
        {
            return {};
        }

        std::suspend_always final_suspend() const noexcept
        {
            return {};
        }

        void return_value(std::uint64_t result) noexcept
        {
            value = result;
        }

        void unhandled_exception() const noexcept
        {
            std::terminate();
        }
    };

    explicit frame(promise_type& promise) noexcept
        : promise_(&promise)
    {
    }

    promise_type& release() && noexcept
    {
        return *std::exchange(promise_, nullptr);
    }

private:
    promise_type* promise_;
};

/// A queue of frames, with the members of a map that spawn and join use. It has no keys.
class frame_queue {
public:
    struct joined {
        std::optional<std::uint64_t> result;
    };

    template<class K>
    void spawn(K&&, frame work)
    {
        push(std::move(work).release());
    }

    /// Runs frames in order until one has ended, and frees it.
    bench::ready<std::optional<joined>> async_join_next()
    {
        while (first_) {
            frame::promise_type& promise = *first_;
            first_ = promise.next;
            const auto coroutine = std::coroutine_handle<frame::promise_type>::from_promise(promise);
            coroutine.resume();
            if (coroutine.done()) {
                const std::uint64_t value = promise.value;
                coroutine.destroy();
                return {joined{value}};
            }
            push(promise);
        }
        return {std::nullopt};
    }

private:
    void push(frame::promise_type& promise) noexcept
    {
        promise.next = nullptr;
        (first_ ? last_->next : first_) = &promise;
        last_ = &promise;
    }

    frame::promise_type* first_ = nullptr;
    frame::promise_type* last_ = nullptr;
};

/// What no map of tasks can go below: allocate a frame, push it on a queue, run it, free it.
class subject {
public:
    using owner = bench::blocking_owner;
    static constexpr bool has_blocking = false;

    static frame value(std::uint64_t result)
    {
        co_return result;
    }

    static frame yielding(std::uint64_t result, int times)
    {
        while (times-- != 0)
            co_await std::suspend_always();
        co_return result;
    }

    template<class K>
    frame_queue make_map()
    {
        return {};
    }

    void run(owner workload)
    {
        workload.run();
    }
};

} // namespace

int main(int argc, char** argv)
{
    return bench::program<subject>(argc, argv);
}
