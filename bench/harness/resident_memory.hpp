// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

namespace bench {

/// Bytes of this process that are in memory now.
inline std::size_t resident_memory()
{
    std::size_t all = 0;
    std::size_t resident = 0;
    std::ifstream("/proc/self/statm") >> all >> resident;
    return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// The most bytes of this process that have been in memory.
inline std::size_t peak_memory()
{
    rusage used;
    getrusage(RUSAGE_SELF, &used);
    return static_cast<std::size_t>(used.ru_maxrss) * 1024;
}

} // namespace bench
