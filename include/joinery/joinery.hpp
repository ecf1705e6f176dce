// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

/// All of the library.

#include <joinery/abort_handle.hpp>
#include <joinery/block_on.hpp>
#include <joinery/blocking_pool.hpp>
#include <joinery/cancel_reason.hpp>
#include <joinery/error.hpp>
#include <joinery/join_error.hpp>
#include <joinery/join_map.hpp>
#include <joinery/join_queue.hpp>
#include <joinery/join_set.hpp>
#include <joinery/keyed_hash.hpp>
#include <joinery/local_set.hpp>
#include <joinery/observation.hpp>
#include <joinery/retry.hpp>
#include <joinery/retry_options.hpp>
#include <joinery/runtime.hpp>
#include <joinery/scope.hpp>
#include <joinery/serial_executor.hpp>
#include <joinery/spawn_options.hpp>
#include <joinery/task.hpp>
#include <joinery/task_id.hpp>
#include <joinery/task_tree.hpp>
#include <joinery/this_task.hpp>
#include <joinery/with_timeout.hpp>
