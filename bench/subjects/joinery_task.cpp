// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include "local_owner.hpp"
#include "task_work.hpp"

#include "../harness/program.hpp"

#include <joinery/join_map.hpp>

#include <cstdint>

namespace {

/// `joinery::task` on one thread: tasks and owner on a local_set.
class subject : public bench::local_owner, public bench::task_work {
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
