// expect: joinery: keyed_hash takes numbers, strings, tuples and sequences of such, and types that have a std::hash
// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/join_map.hpp>

#include <boost/asio/io_context.hpp>

#include <cstddef>

struct point {
    int x;
    int y;
    bool operator==(const point&) const = default;
};

struct point_hash {
    std::size_t operator()(const point& p) const
    {
        return joinery::keyed_hash<int>()(p.x ^ p.y);
    }
};

void misuse(boost::asio::io_context& context)
{
    joinery::join_map<point, int, point_hash> map(context);
    map.spawn(point{1, 2}, [] { return 5; });
#ifndef JOINERY_COMPILE_FAIL_CONTROL
    joinery::join_map<point, int> without(context);
    without.spawn(point{1, 2}, [] { return 5; });
#endif
}
