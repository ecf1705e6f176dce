// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "allocations.hpp"

#include <atomic>
#include <cstddef>

// glibc's own names for what is replaced below; `free` and the rest stay as they are.
extern "C" {
void* __libc_malloc(std::size_t size) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t size) noexcept;
}

namespace {

constinit std::atomic<bool> counting = false;
constinit std::atomic<std::uint64_t> blocks = 0;

void count() noexcept
{
    if (counting.load(std::memory_order_relaxed)) [[unlikely]]
        blocks.fetch_add(1, std::memory_order_relaxed);
}

} // namespace

extern "C" void* malloc(std::size_t size) noexcept
{
    count();
    return __libc_malloc(size);
}

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
    count();
    return __libc_memalign(alignment, size);
}

namespace bench {

allocation_count::allocation_count() noexcept
{
    counting = true;
}

allocation_count::~allocation_count()
{
    counting = false;
}

std::uint64_t allocation_count::so_far() noexcept
{
    return blocks.load(std::memory_order_relaxed);
}

} // namespace bench
