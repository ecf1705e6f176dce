// expect: joinery: keyed_hash takes numbers, strings, tuples and sequences of such, and types that have a std::hash
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/keyed_hash.hpp>

#include <set>
#include <unordered_set>

// Two equal sets may list their elements in different orders; to hash them one after another would lose keys.
std::size_t misuse()
{
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    joinery::keyed_hash<std::unordered_set<int>>()({1, 2});
#endif
    return joinery::keyed_hash<std::set<int>>()({1, 2});
}
