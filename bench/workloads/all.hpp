// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "abort_all.hpp"
#include "abort_key.hpp"
#include "abort_matching.hpp"
#include "blocking.hpp"
#include "contains.hpp"
#include "drop.hpp"
#include "pending_spawn.hpp"
#include "replace.hpp"
#include "spawn_join.hpp"
#include "steady.hpp"
#include "string_keys.hpp"
#include "timer.hpp"
#include "yield.hpp"

#include <tuple>

namespace bench {

/// Each of them is the same code for every subject, which says with its members what it can take part in.
using workloads = std::tuple<spawn_join, steady, yield<1>, yield<10>, replace, pending_spawn, abort_all, abort_key,
                             abort_matching, contains<true>, contains<false>, string_keys, drop, blocking, timer>;

} // namespace bench
