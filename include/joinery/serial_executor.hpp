// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/strand.hpp>

namespace joinery {

/// Whether an executor type never runs two handlers at once. Specialise it for an executor type of your own.
/**
 * Tasks on a serial executor share its order, and need no strand of their own. An executor that is not known to be
 * serial is used correctly too: each task that waits for an operation then gets a strand of its own.
 *
 * A `runtime`'s workers and a `local_set` are serial without this, also within an `any_io_executor`.
 */
template<class Executor>
inline constexpr bool enable_serial_executor = false;

template<class Inner>
inline constexpr bool enable_serial_executor<boost::asio::strand<Inner>> = true;

} // namespace joinery
