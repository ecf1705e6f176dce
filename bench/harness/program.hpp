// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "allocations.hpp"
#include "measurement.hpp"
#include "resident_memory.hpp"

#include "../workloads/all.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <tuple>

namespace bench {

template<class Workload, class Subject>
concept workload_for =
    requires(Subject& subject, std::size_t n, measurement& measured) { Workload::run(subject, n, measured); };

/// One process, one workload: a pass to warm up, in which allocations are counted, and then the timed ones.
template<class Workload, class Subject>
void measure(std::size_t n, int repeats)
{
    constexpr std::size_t warm = 10'000; // more would only take time
    const std::size_t before = resident_memory();
    Subject subject;
    measurement measured;
    {
        const allocation_count counting;
        subject.run(Workload::run(subject, std::min(n, warm), measured));
    }
    const double allocations = measured.allocations();

    std::printf(R"({"workload": "%s", "n": %zu, "ns": [)", Workload::name.data(), n);
    for (int repeat = 0; repeat != repeats; ++repeat) {
        subject.run(Workload::run(subject, n, measured));
        std::printf("%s%.2f", repeat == 0 ? "" : ", ", measured.nanoseconds());
    }
    const std::size_t grown = measured.resident() - std::min(before, measured.resident());
    std::printf(R"(], "allocations": %.3f, "bytes": %.1f, "peak": %zu})"
                "\n",
                allocations, static_cast<double>(grown) / static_cast<double>(n), peak_memory());
}

template<class Subject>
bool try_measure(std::string_view name, std::size_t n, int repeats)
{
    bool found = false;
    const auto try_one = [&]<class Workload>(Workload) {
        if constexpr (workload_for<Workload, Subject>) {
            if (name == Workload::name) {
                found = true;
                measure<Workload, Subject>(n, repeats);
            }
        }
    };
    std::apply([&](auto... workload) { (try_one(workload), ...); }, workloads());
    return found;
}

template<class Subject>
void list_workloads()
{
    const auto list_one = []<class Workload>(Workload) {
        if constexpr (workload_for<Workload, Subject>)
            std::puts(Workload::name.data());
    };
    std::apply([&](auto... workload) { (list_one(workload), ...); }, workloads());
}

/// The `main` of a subject: without arguments it says which workloads it has; with `<workload> <n> <repeats>` it runs
/// that one, and prints a line of JSON.
template<class Subject>
int program(int argc, char** argv)
try {
    if (argc == 1) {
        list_workloads<Subject>();
        return 0;
    }
    if (argc == 4 && try_measure<Subject>(argv[1], std::stoul(argv[2]), std::stoi(argv[3])))
        return 0;
    std::fprintf(stderr, "usage: %s [<workload> <n> <repeats>]\n", argv[0]);
    return 2;
} catch (const std::exception& failure) {
    std::fprintf(stderr, "%s: %s\n", argv[0], failure.what());
    return 1;
}

} // namespace bench
