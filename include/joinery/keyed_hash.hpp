// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/random_seed.hpp>
#include <joinery/detail/siphash.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace joinery {

namespace detail {

using seed_type = std::array<std::uint64_t, 2>;

template<class T>
concept number_like =
    (std::is_integral_v<T> || std::is_enum_v<T> || std::is_pointer_v<T>) && sizeof(T) <= sizeof(std::uint64_t);

template<class T>
concept wide_number = std::is_integral_v<T> && !number_like<T>;

template<class T>
concept string_like = requires(const T& text) {
    typename T::value_type;
    typename T::traits_type;
    std::basic_string_view<typename T::value_type, typename T::traits_type>(text);
};

template<class T>
concept tuple_like = requires { std::tuple_size<T>::value; };

template<class T>
concept has_std_hash = requires(const T& key) { std::hash<T>()(key); };

/// A range whose equality is that of its elements, in order: not one that has a hash, and so an idea of equality, of
/// its own.
template<class T>
concept sequence_like = std::ranges::forward_range<const T> && !has_std_hash<T> && !requires { typename T::hasher; };

template<class T>
inline constexpr bool is_bit_vector = false;

template<class Allocator>
inline constexpr bool is_bit_vector<std::vector<bool, Allocator>> = true;

template<class T>
std::uint64_t number_of(T key) noexcept
{
    if constexpr (std::is_pointer_v<T>)
        return reinterpret_cast<std::uintptr_t>(key);
    else
        return static_cast<std::uint64_t>(key);
}

/// The product of two words, folded: each bit of it depends on each bit of both.
constexpr std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) noexcept
{
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// Hashes one number under a secret seed: two secret multiplications, so that no difference between two keys
/// collides for more than a vanishing part of the seeds.
constexpr std::size_t hash_number(std::uint64_t key, const seed_type& seed) noexcept
{
    constexpr std::uint64_t odd = 0x9e3779b97f4a7c15u;
    const std::uint64_t once = folded_product(key ^ seed[0], seed[1] | 1);
    return static_cast<std::size_t>(folded_product(once ^ seed[1], (seed[0] ^ odd) | 1));
}

/// Feeds a key to SipHash, in such a way that different keys feed different bytes.
template<class T>
void feed(siphash<1, 3>& hash, const T& key)
{
    if constexpr (number_like<T>) {
        const std::uint64_t number = number_of(key);
        hash.update(&number, sizeof(number));
    } else if constexpr (wide_number<T>) {
        hash.update(&key, sizeof(key));
    } else if constexpr (string_like<T>) {
        const std::basic_string_view<typename T::value_type, typename T::traits_type> text(key);
        feed(hash, text.size());
        hash.update(text.data(), text.size() * sizeof(typename T::value_type));
    } else if constexpr (tuple_like<T>) {
        std::apply([&hash](const auto&... parts) { (feed(hash, parts), ...); }, key);
    } else if constexpr (is_bit_vector<T>) {
        feed(hash, key.size());
        for (const bool bit : key)
            feed(hash, bit);
    } else if constexpr (sequence_like<T>) {
        feed(hash, static_cast<std::size_t>(std::ranges::distance(key)));
        for (const auto& part : key)
            feed(hash, part);
    } else {
        static_assert(has_std_hash<T>,
                      "joinery: keyed_hash takes numbers, strings, tuples and sequences of such, and types that have a "
                      "std::hash; give the join_map a Hash of your own");
        feed(hash, std::hash<T>()(key));
    }
}

} // namespace detail

/// The default hash of a `join_map`: a secret one for each map, so that nobody outside can choose colliding keys.
/**
 * A default-constructed `keyed_hash` has a seed of its own, drawn at random; copies share it. Every bit of the key
 * has a part in every bit of the hash.
 *
 * Numbers, enumerators and pointers are hashed by two multiplications with the seed. Strings, pairs, tuples, arrays
 * and sequences of keys are hashed with SipHash-1-3. A type that has a `std::hash` of its own is hashed with that,
 * whose result is then hashed with the seed; that cannot separate keys for which `std::hash` gives the same.
 *
 * For strings it is transparent: a `std::string` is found by a `std::string_view` or a literal.
 *
 * @par Complexity Linear in the size of the key.
 */
template<class K>
class keyed_hash {
public:
    using is_avalanching = void;

    keyed_hash()
        : seed_(detail::random_seed())
    {
    }

    std::size_t operator()(const K& key) const
    {
        if constexpr (detail::number_like<K>) {
            return detail::hash_number(detail::number_of(key), seed_);
        } else {
            detail::siphash<1, 3> hash(seed_);
            detail::feed(hash, key);
            return static_cast<std::size_t>(hash.finish());
        }
    }

private:
    detail::seed_type seed_;
};

template<class K>
    requires detail::string_like<K>
class keyed_hash<K> {
    using view = std::basic_string_view<typename K::value_type, typename K::traits_type>;

public:
    using is_avalanching = void;
    using is_transparent = void;

    keyed_hash()
        : seed_(detail::random_seed())
    {
    }

    std::size_t operator()(view key) const noexcept
    {
        detail::siphash<1, 3> hash(seed_);
        hash.update(key.data(), key.size() * sizeof(typename K::value_type));
        return static_cast<std::size_t>(hash.finish());
    }

private:
    detail::seed_type seed_;
};

} // namespace joinery
