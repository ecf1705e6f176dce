// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/work.hpp>
#include <joinery/local_set.hpp>

#include <utility>

namespace joinery {

/// Runs work to its end on the calling thread, and whatever it spawns there: a whole program in one call.
/**
 * The work runs on a `local_set` of its own, whose executor `co_await asio::this_coro::executor` yields. Tasks that
 * are left when the work has ended are cancelled with `executor_gone`.
 *
 * @returns the value of the work
 * @throws  the work's own exception
 */
template<class Work>
detail::work_value<Work> block_on(Work&& work)
{
    return local_set().run_until(std::forward<Work>(work));
}

} // namespace joinery
