// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <memory>

namespace joinery::test {

/// What the copies of an allocator have done.
struct allocation_record {
    std::size_t allocations = 0;
    std::size_t live_bytes = 0;
};

/// An allocator that counts.
template<class T>
class counting_allocator {
public:
    using value_type = T;

    explicit counting_allocator(allocation_record& record) noexcept
        : record_(&record)
    {
    }

    template<class U>
    counting_allocator(const counting_allocator<U>& other) noexcept
        : record_(&other.record())
    {
    }

    T* allocate(std::size_t count)
    {
        T* const memory = std::allocator<T>().allocate(count);
        ++record_->allocations;
        record_->live_bytes += count * sizeof(T);
        return memory;
    }

    void deallocate(T* memory, std::size_t count) noexcept
    {
        record_->live_bytes -= count * sizeof(T);
        std::allocator<T>().deallocate(memory, count);
    }

    allocation_record& record() const noexcept
    {
        return *record_;
    }

    template<class U>
    friend bool operator==(const counting_allocator& a, const counting_allocator<U>& b) noexcept
    {
        return &a.record() == &b.record();
    }

private:
    allocation_record* record_;
};

} // namespace joinery::test
