// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <type_traits>

namespace joinery::detail {

/// Constructs what a function returns in its place, without a move.
template<class F>
struct constructed_by {
    F function;

    operator std::invoke_result_t<F&>()
    {
        return function();
    }
};

template<class F>
constructed_by(F) -> constructed_by<F>;

} // namespace joinery::detail
