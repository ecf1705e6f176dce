// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>

// The unit tests' program replaces the global operator new, to count allocations and to make them fail. Not under
// ThreadSanitizer, whose own operator new Clang does not let anyone replace: there tests that need it are skipped.

#if defined(__SANITIZE_THREAD__)
#define JOINERY_TEST_OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define JOINERY_TEST_OWN_ALLOCATOR 0
#endif
#endif
#if !defined(JOINERY_TEST_OWN_ALLOCATOR)
#define JOINERY_TEST_OWN_ALLOCATOR 1
#endif

namespace joinery::test {

/// Whether what follows works.
inline constexpr bool allocations_are_ours = JOINERY_TEST_OWN_ALLOCATOR != 0;

/// How often this thread has called the global operator new.
std::size_t allocation_count() noexcept;

/// While it lives, this thread's allocations throw std::bad_alloc, after so many that succeed. One at a time.
class failing_allocations {
public:
    explicit failing_allocations(std::size_t after) noexcept;
    ~failing_allocations();

    failing_allocations(const failing_allocations&) = delete;
    failing_allocations& operator=(const failing_allocations&) = delete;

    /// Whether one has failed.
    bool happened() const noexcept;
};

} // namespace joinery::test
