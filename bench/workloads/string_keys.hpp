// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../harness/measurement.hpp"
#include "../harness/require.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

/// As spawn_join, with strings of 35 characters as keys, which were made before.
struct string_keys {
    static constexpr std::string_view name = "string_keys";

    template<class Subject>
    static typename Subject::owner run(Subject& subject, std::size_t n, measurement& measured)
    {
        auto tasks = subject.template make_map<std::string>();
        std::vector<std::string> keys = make_keys(n);
        std::uint64_t sum = 0;
        measured.start();
        for (std::uint64_t number = 0; number != n; ++number)
            tasks.spawn(std::move(keys[number]), Subject::value(number));
        while (auto done = co_await tasks.async_join_next())
            sum += *done->result;
        measured.stop(n);
        require(sum == n * (n - 1) / 2, "string_keys: a value is wrong");
    }

private:
    static std::vector<std::string> make_keys(std::size_t n)
    {
        std::vector<std::string> keys;
        keys.reserve(n);
        for (std::size_t number = 0; number != n; ++number) {
            const std::string digits = std::to_string(number);
            keys.push_back("session/of/a/client/" + std::string(15 - digits.size(), '0') + digits);
        }
        return keys;
    }
};

} // namespace bench
