// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/result_room.hpp>
#include <joinery/detail/step.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <coroutine>
#include <exception>
#include <utility>
#include <variant>

namespace joinery::detail {

/// Where a nested task's coroutine returns to: a part of the awaiter in the coroutine that awaits it.
template<class V>
struct nested_return {
    task_node* root = nullptr;
    std::coroutine_handle<> waiter;
    std::variant<std::monostate, stored_value<V>, std::exception_ptr> result;
};

/// Whether an exception is what Asio's operations say when they are cancelled.
inline bool is_operation_aborted(const std::exception_ptr& exception) noexcept
{
    try {
        std::rethrow_exception(exception);
    } catch (const boost::system::system_error& error) {
        return error.code() == boost::asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

/// What a task's coroutine does at its ends. `Promise` derives from it.
/**
 * A coroutine whose task is awaited knows its awaiter; a root, which was spawned, knows nothing, and finds its
 * node next to its frame. A nested coroutine must not touch the node in front of its frame, because Clang may
 * have put the frame into the frame of its caller, without one.
 */
template<class Promise, class V>
class task_promise_base {
public:
    static void* operator new(std::size_t frame_size)
    {
        return task_block<V>::allocate(frame_size);
    }

    static void operator delete(void* frame, std::size_t frame_size) noexcept
    {
#if defined(__GNUC__)
        __asm__("" : "+r"(frame) : : "memory"); // see `root`
#endif
        // The block of a spawned task outlives its frame, until nobody refers to it.
        task_node& node = task_node::of_frame(frame);
        if (node.is_spawned())
            task_block<V>::frame_destroyed(frame, frame_size);
        else
            task_block<V>::deallocate(node, frame_size);
    }

    std::suspend_always initial_suspend() const noexcept
    {
        return {};
    }

    auto final_suspend() noexcept
    {
        struct final_awaiter {
            bool await_ready() const noexcept
            {
                return false;
            }

            std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept
            {
                task_promise_base& promise = self.promise();
                if (promise.return_)
                    return promise.return_->waiter;
                task_node& task = promise.root();
                task.waiting_ = task.step_.failed ? failure(task) : &end_suspension<outcome::value>::instance();
                return std::noop_coroutine();
            }

            void await_resume() const noexcept
            {
            }
        };
        return final_awaiter();
    }

    void unhandled_exception() noexcept
    {
        if (return_) {
            return_->result.template emplace<2>(std::current_exception());
            return;
        }
        task_node& task = root();
        if (task.step_.has_value) // a local's destructor threw after the value had been returned
            std::destroy_at(&task_block<V>::value(task));
        task_block<V>::emplace_exception(task, std::current_exception());
        task.step_.failed = true;
    }

    /// The task that this coroutine is a part of. Only while it runs or waits.
    task_node& root() noexcept
    {
        if (return_)
            return *return_->root;
        void* frame = std::coroutine_handle<Promise>::from_promise(static_cast<Promise&>(*this)).address();
#if defined(__GNUC__)
        // While Clang optimises the coroutine, its promise is a local variable to it, and what is written in front of
        // that, to the node and the room, would be dropped as out of bounds. So the address must come from nowhere.
        __asm__("" : "+r"(frame));
#endif
        return task_node::of_frame(frame);
    }

    /// Makes this the coroutine of a nested task.
    void returns_to(nested_return<V>& target) noexcept
    {
        return_ = &target;
    }

protected:
    template<class... Args>
    void deliver(Args&&... args)
    {
        if (return_) {
            return_->result.template emplace<1>(std::forward<Args>(args)...);
            return;
        }
        task_node& task = root();
        task_block<V>::emplace_value(task, std::forward<Args>(args)...);
        task.step_.has_value = true;
    }

private:
    /// An exception is the task's own, unless it is foreign work's way to say that it obeyed an abort.
    static suspension* failure(task_node& task) noexcept
    {
        std::exception_ptr& exception = task_block<V>::exception(task);
        if (!task.step_.foreign || !task.abort_requested() || !is_operation_aborted(exception))
            return &end_suspension<outcome::exception>::instance();
        std::destroy_at(&exception);
        return &end_suspension<outcome::cancelled>::instance();
    }

    nested_return<V>* return_ = nullptr;
};

} // namespace joinery::detail
