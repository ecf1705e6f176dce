// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <mutex>
#include <new>
#include <utility>

namespace joinery::detail {

/// Bundles of free blocks that any thread may take: what the threads' `block_cache`s do not keep.
/** A bundle has about `bundle_bytes`, all of one size. There is one depot, and it is never destroyed. */
class block_depot {
public:
    struct free_block {
        free_block* next;
    };

    static constexpr std::size_t step = 16;
    static constexpr std::size_t most = 1024; // bytes of a block
    static constexpr std::size_t sizes = most / step + 1;
    static constexpr std::size_t bundle_bytes = std::size_t(32) << 10;

    static block_depot& instance() noexcept
    {
        static constinit block_depot only;
        return only;
    }

    /// Keeps a bundle of blocks that have `size` steps and a half, unless there are many, or they are too small to be
    /// linked. Whether it did.
    bool put(std::size_t size, free_block* bundle) noexcept
    {
        if (size * step + step / 2 < sizeof(head_block))
            return false;
        const std::lock_guard lock(mutex_);
        if (count_ == most_bundles)
            return false;
        ++count_;
        free_block* const rest = bundle->next;
        bundles_[size] = ::new (static_cast<void*>(bundle)) head_block{{rest}, bundles_[size]};
        return true;
    }

    /// A bundle of blocks of that size; null if there is none.
    free_block* take(std::size_t size) noexcept
    {
        const std::lock_guard lock(mutex_);
        if (!bundles_[size])
            return nullptr;
        --count_;
        return std::exchange(bundles_[size], bundles_[size]->next_bundle);
    }

    void clear() noexcept
    {
        for (std::size_t size = 0; size != sizes; ++size) {
            while (free_block* block = take(size)) {
                while (block)
                    ::operator delete(std::exchange(block, block->next));
            }
        }
    }

private:
    static constexpr std::size_t most_bundles = (std::size_t(32) << 20) / bundle_bytes;

    /// The first block of a bundle.
    struct head_block : free_block {
        head_block* next_bundle;
    };

    constexpr block_depot() noexcept = default;

    std::mutex mutex_;
    head_block* bundles_[sizes] = {};
    std::size_t count_ = 0;
};

} // namespace joinery::detail
