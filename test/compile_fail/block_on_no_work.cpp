// expect: joinery: this cannot be run. Give block_on a joinery::task|joinery: this cannot be spawned. Spawn a joinery::task
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/block_on.hpp>

int misuse()
{
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    joinery::block_on(5);
#endif
    return joinery::block_on([] { return 5; });
}
