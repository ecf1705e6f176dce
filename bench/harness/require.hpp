// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <stdexcept>

namespace bench {

/// Ends the program when a subject did not do what the workload asked for: its time would mean nothing.
inline void require(bool holds, const char* what)
{
    if (!holds)
        throw std::logic_error(what);
}

} // namespace bench
