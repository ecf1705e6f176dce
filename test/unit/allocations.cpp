// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// The one place that replaces the global operator new: see allocations.hpp.

#include <joinery/detail/block_cache.hpp>

#include "allocations.hpp"

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace {

constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

constinit thread_local std::size_t count = 0;
constinit thread_local std::size_t left_to_succeed = never;
constinit thread_local bool failed = false;

[[maybe_unused]] void* allocate(std::size_t size, std::size_t alignment) noexcept
{
    ++count;
    if (left_to_succeed == 0) {
        failed = true;
        return nullptr;
    }
    if (left_to_succeed != never)
        --left_to_succeed;
    if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__)
        return std::malloc(size);
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

[[maybe_unused]] void* allocate_or_throw(std::size_t size, std::size_t alignment)
{
    if (void* const memory = allocate(size, alignment))
        return memory;
    throw std::bad_alloc();
}

} // namespace

namespace joinery::test {

std::size_t allocation_count() noexcept
{
    return count;
}

failing_allocations::failing_allocations(std::size_t after) noexcept
{
    detail::block_cache::clear(); // what is kept needs no allocation
    left_to_succeed = after;
    failed = false;
}

failing_allocations::~failing_allocations()
{
    left_to_succeed = never;
}

bool failing_allocations::happened() const noexcept
{
    return failed;
}

} // namespace joinery::test

#if JOINERY_TEST_OWN_ALLOCATOR

void* operator new(std::size_t size)
{
    return allocate_or_throw(size, 1);
}

void* operator new[](std::size_t size)
{
    return allocate_or_throw(size, 1);
}

void* operator new(std::size_t size, std::align_val_t alignment)
{
    return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}

void* operator new[](std::size_t size, std::align_val_t alignment)
{
    return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept
{
    return allocate(size, 1);
}

void* operator new[](std::size_t size, const std::nothrow_t&) noexcept
{
    return allocate(size, 1);
}

void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept
{
    return allocate(size, static_cast<std::size_t>(alignment));
}

void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept
{
    return allocate(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* memory) noexcept
{
    std::free(memory);
}

void operator delete[](void* memory) noexcept
{
    std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept
{
    std::free(memory);
}

void operator delete[](void* memory, std::size_t) noexcept
{
    std::free(memory);
}

void operator delete(void* memory, std::align_val_t) noexcept
{
    std::free(memory);
}

void operator delete[](void* memory, std::align_val_t) noexcept
{
    std::free(memory);
}

void operator delete(void* memory, std::size_t, std::align_val_t) noexcept
{
    std::free(memory);
}

void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept
{
    std::free(memory);
}

void operator delete(void* memory, const std::nothrow_t&) noexcept
{
    std::free(memory);
}

void operator delete[](void* memory, const std::nothrow_t&) noexcept
{
    std::free(memory);
}

void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept
{
    std::free(memory);
}

void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept
{
    std::free(memory);
}

#endif
