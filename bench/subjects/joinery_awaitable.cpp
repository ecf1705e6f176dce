// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "awaitable_work.hpp"
#include "local_owner.hpp"

#include "../harness/program.hpp"

#include <joinery/join_map.hpp>

#include <cstdint>

namespace {

/// `asio::awaitable` as the work of a join_map on one thread.
class subject : public bench::local_owner, public bench::awaitable_work {
public:
    static constexpr int workers = 1;

    template<class K>
    joinery::join_map<K, std::uint64_t> make_map()
    {
        return joinery::join_map<K, std::uint64_t>(local_);
    }
};

} // namespace

int main(int argc, char** argv)
{
    return bench::program<subject>(argc, argv);
}
