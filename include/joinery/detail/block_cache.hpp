// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <new>

namespace joinery::detail {

/// Memory for the blocks of tasks, of which each thread keeps some that were freed for those to come.
/**
 * A list for each size, up to `most` bytes of a block and `most_kept` bytes of a thread. A block may be freed on another
 * thread than the one that allocated it, and is that thread's to keep then.
 *
 * Rejected: to leave it to the general allocator. It took a third of the time of a task that is spawned and joined.
 */
class block_cache {
public:
    static void* allocate(std::size_t size)
    {
        size = rounded(size);
        if (is_kept(size)) {
            if (free_block*& first = kept_.first[size / step]) {
                free_block* const block = first;
                first = block->next;
                kept_.bytes -= size;
                return block;
            }
        }
        return ::operator new(size);
    }

    static void deallocate(void* memory, std::size_t size) noexcept
    {
        size = rounded(size);
        if (is_kept(size) && kept_.bytes + size <= most_kept && keep_until_thread_ends()) {
            free_block*& first = kept_.first[size / step];
            first = ::new (memory) free_block{first};
            kept_.bytes += size;
            return;
        }
        ::operator delete(memory);
    }

    /// Frees what the calling thread keeps.
    static void clear() noexcept
    {
        for (free_block*& first : kept_.first) {
            while (first) {
                free_block* const block = first;
                first = block->next;
                ::operator delete(block);
            }
        }
        kept_.bytes = 0;
    }

#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool is_on = false; // what is used after it was freed should be found
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    static constexpr bool is_on = false;
#else
    static constexpr bool is_on = true;
#endif
#else
    static constexpr bool is_on = true;
#endif

private:
    static constexpr std::size_t step = 16;
    static constexpr std::size_t most = 1024;
    static constexpr std::size_t most_kept = std::size_t(1) << 20;

    struct free_block {
        free_block* next;
    };

    enum class phase : unsigned char { unused, in_use, over };

    struct kept_blocks {
        free_block* first[most / step + 1];
        std::size_t bytes;
        phase now;
    };

    struct at_thread_end {
        ~at_thread_end()
        {
            clear();
            kept_.now = phase::over;
        }
    };

    static constexpr std::size_t rounded(std::size_t size) noexcept
    {
        return (size + step - 1) / step * step;
    }

    static constexpr bool is_kept(std::size_t size) noexcept
    {
        return is_on && size <= most;
    }

    /// Sees to it that what is kept will be freed. False if it is too late for that.
    static bool keep_until_thread_ends() noexcept
    {
        if (kept_.now == phase::in_use)
            return true;
        if (kept_.now == phase::over)
            return false;
        static thread_local at_thread_end cleanup;
        static_cast<void>(cleanup);
        kept_.now = phase::in_use;
        return true;
    }

    // Without a destructor of its own, so that there is nothing to check on each use.
    inline static constinit thread_local kept_blocks kept_{};
};

} // namespace joinery::detail
