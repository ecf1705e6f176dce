// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/block_cache.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/join_error.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace joinery::detail {

/// What stands for a value in storage: `void` has none.
struct no_value {};

template<class V>
using stored_value = std::conditional_t<std::is_void_v<V>, no_value, V>;

/// A type that a task may return.
template<class V>
concept task_value = std::is_void_v<V> || (std::is_object_v<V> && !std::is_const_v<V> && !std::is_volatile_v<V> &&
                                           std::move_constructible<V> && std::destructible<V>);

/// The block of memory of a task: room for its result, its node, its frame.
/** The node's `how()` says what is in the room, so the room has no tag of its own. */
template<class V>
class task_block {
    using value_type = stored_value<V>;

    static constexpr std::size_t alignment =
        std::max({alignof(value_type), alignof(std::exception_ptr), alignof(task_node)});
    static constexpr std::size_t room_size =
        (std::max(sizeof(value_type), sizeof(std::exception_ptr)) + alignof(task_node) - 1) / alignof(task_node) *
        alignof(task_node);
    // The room stands right before the node; where the value is aligned more strictly than the node, the block
    // begins with padding.
    static constexpr std::size_t node_offset = (room_size + alignment - 1) / alignment * alignment;

public:
    /// Allocates a block, with a node in it, and returns where the frame goes.
    static void* allocate(std::size_t frame_size)
    {
        const std::size_t size = node_offset + sizeof(task_node) + frame_size;
        std::byte* const block = [size] {
            if constexpr (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__)
                return static_cast<std::byte*>(::operator new(size, std::align_val_t(alignment)));
            else
                return static_cast<std::byte*>(block_cache::allocate(size));
        }();
        ::new (block + node_offset) task_node;
        void* frame = block + node_offset + sizeof(task_node);
#if defined(__GNUC__) && !defined(__clang__)
        // Or GCC sees that a frame, freed by the promise's own operator delete, came from the global operator new,
        // and warns each user (-Wmismatched-new-delete).
        __asm__("" : "+r"(frame));
#endif
        return frame;
    }

    static void deallocate(task_node& node, std::size_t frame_size) noexcept
    {
        std::byte* const block = reinterpret_cast<std::byte*>(&node) - node_offset;
        std::destroy_at(&node);
        if constexpr (alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__)
            ::operator delete(block, std::align_val_t(alignment));
        else
            block_cache::deallocate(block, node_offset + sizeof(task_node) + frame_size);
    }

    /// Takes note of the size of the frame, which has just been destroyed, in its own memory.
    static void frame_destroyed(void* frame, std::size_t frame_size) noexcept
    {
        ::new (frame) std::size_t(frame_size);
    }

    template<class... Args>
    static void emplace_value(task_node& node, Args&&... args)
    {
        ::new (room(node)) value_type(std::forward<Args>(args)...);
    }

    static void emplace_exception(task_node& node, std::exception_ptr exception) noexcept
    {
        ::new (room(node)) std::exception_ptr(std::move(exception));
    }

    static value_type& value(task_node& node) noexcept
    {
        return *std::launder(static_cast<value_type*>(room(node)));
    }

    static std::exception_ptr& exception(task_node& node) noexcept
    {
        return *std::launder(static_cast<std::exception_ptr*>(room(node)));
    }

    /// Moves the outcome out. The moved-from remains are destroyed with the block.
    static join_result<V> take(task_node& node)
    {
        switch (node.how()) {
        case outcome::value:
            if constexpr (std::is_void_v<V>)
                return join_result<V>(boost::system::in_place_value);
            else
                return join_result<V>(boost::system::in_place_value, std::move(value(node)));
        case outcome::exception:
            return join_result<V>(boost::system::in_place_error, join_error(node.id(), exception(node)));
        default:
            return join_result<V>(boost::system::in_place_error, join_error(node.id(), node.reason()));
        }
    }

    /// Destroys the outcome before its time.
    static void drop(task_node& node) noexcept
    {
        const outcome how = node.how();
        node.result_dropped();
        if (how == outcome::value)
            std::destroy_at(&value(node));
        else if (how == outcome::exception)
            std::destroy_at(&exception(node));
    }

    /// Destroys the outcome, and frees the block.
    static void dispose(task_node& node) noexcept
    {
        drop(node);
        node.release_home();
        deallocate(node, *std::launder(static_cast<std::size_t*>(node.frame().address())));
    }

private:
    static void* room(task_node& node) noexcept
    {
        return reinterpret_cast<std::byte*>(&node) - room_size;
    }
};

} // namespace joinery::detail
