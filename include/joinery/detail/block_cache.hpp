// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/block_depot.hpp>

#include <boost/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace joinery::detail {

/// Memory for the blocks of tasks, of which each thread keeps some that were freed for those to come.
/**
 * For each size of up to `most` bytes, a thread has two bundles of free blocks: one that it takes from and gives to, and
 * one that is full or not there. A third goes to the `block_depot`, from which any thread gets it back. A block may be
 * freed on another thread than the one that allocated it.
 *
 * Rejected: to leave it to the general allocator. It took a third of the time of a task that is spawned and joined, and
 * gave a burst's pages back to the system, from which the next burst had to fault them in again: that took another third.
 */
class block_cache {
public:
    static void* allocate(std::size_t size)
    {
        size = rounded(size);
        if (is_kept(size)) {
            bundle& here = kept_.at[size / step].current;
            if (!here.first) [[unlikely]] {
                if (!refill(size))
                    return ::operator new(size);
            }
            ++here.room;
            return std::exchange(here.first, here.first->next);
        }
        return ::operator new(size);
    }

    static void deallocate(void* memory, std::size_t size) noexcept
    {
        size = rounded(size);
        if (is_kept(size)) {
            bundle& here = kept_.at[size / step].current;
            if (here.room == 0) [[unlikely]] {
                if (!make_room(size))
                    return ::operator delete(memory);
            }
            --here.room;
            here.first = ::new (memory) free_block{here.first};
            return;
        }
        ::operator delete(memory);
    }

    /// Frees what the calling thread keeps, and the depot.
    static void clear() noexcept
    {
        for (std::size_t i = 0; i != sizes; ++i) {
            free_all(std::exchange(kept_.at[i].current, bundle()).first);
            free_all(std::exchange(kept_.at[i].spare, nullptr));
        }
        block_depot::instance().clear();
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
    using free_block = block_depot::free_block;

    static constexpr std::size_t step = block_depot::step;
    static constexpr std::size_t most = block_depot::most;
    static constexpr std::size_t sizes = block_depot::sizes;

    struct bundle {
        free_block* first;
        std::uint32_t room; // for so many more
    };

    struct kept_blocks {
        bundle current;
        free_block* spare; // a full bundle
    };

    enum class phase : unsigned char { unused, in_use, over };

    struct kept {
        kept_blocks at[sizes];
        phase now;
    };

    struct at_thread_end {
        ~at_thread_end()
        {
            kept_.now = phase::over;
            for (std::size_t i = 0; i != sizes; ++i) {
                free_all(std::exchange(kept_.at[i].current, bundle()).first);
                give_away(i, std::exchange(kept_.at[i].spare, nullptr));
            }
        }
    };

    /// A size that the general allocator would not have to round up: glibc puts eight bytes in front.
    static constexpr std::size_t rounded(std::size_t size) noexcept
    {
        return (size + step / 2 - 1) / step * step + step / 2;
    }

    static constexpr bool is_kept(std::size_t size) noexcept
    {
        return is_on && size <= most;
    }

    static constexpr std::uint32_t bundle_size(std::size_t size) noexcept
    {
        return static_cast<std::uint32_t>(block_depot::bundle_bytes / size);
    }

    static void free_all(free_block* first) noexcept
    {
        while (first)
            ::operator delete(std::exchange(first, first->next));
    }

    static void give_away(std::size_t index, free_block* bundle) noexcept
    {
        if (bundle && !block_depot::instance().put(index, bundle))
            free_all(bundle);
    }

    /// Gets a full bundle, if there is one.
    BOOST_NOINLINE static bool refill(std::size_t size) noexcept
    {
        kept_blocks& kept = kept_.at[size / step];
        free_block* full = std::exchange(kept.spare, nullptr);
        if (!full && kept_.now == phase::in_use)
            full = block_depot::instance().take(size / step);
        if (!full)
            return false;
        kept.current = {full, 0};
        return true;
    }

    /// Puts a bundle that is full aside. False if the thread keeps none any more.
    BOOST_NOINLINE static bool make_room(std::size_t size) noexcept
    {
        if (!keep_until_thread_ends())
            return false;
        kept_blocks& kept = kept_.at[size / step];
        if (kept.current.first)
            give_away(size / step, std::exchange(kept.spare, kept.current.first));
        kept.current = {nullptr, bundle_size(size)};
        return true;
    }

    /// Sees to it that what is kept will be freed. False if it is too late for that.
    static bool keep_until_thread_ends() noexcept
    {
        if (kept_.now == phase::over)
            return false;
        static thread_local at_thread_end cleanup;
        static_cast<void>(cleanup);
        kept_.now = phase::in_use;
        return true;
    }

    // Without a destructor of its own, so that there is nothing to check on each use.
    inline static constinit thread_local kept kept_{};
};

} // namespace joinery::detail
