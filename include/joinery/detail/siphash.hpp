// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace joinery::detail {

/// SipHash of Aumasson and Bernstein (2012), with `C` rounds for each word and `D` at the end.
/**
 * A keyed hash function that keeps who does not know the key from finding collisions. Takes its input in pieces; the
 * same bytes give the same hash however they are cut.
 *
 * @see https://www.aumasson.jp/siphash/siphash.pdf
 */
template<int C, int D>
class siphash {
public:
    using key_type = std::array<std::uint64_t, 2>;

    explicit siphash(const key_type& key) noexcept
        : v0_(key[0] ^ 0x736f6d6570736575u)
        , v1_(key[1] ^ 0x646f72616e646f6du)
        , v2_(key[0] ^ 0x6c7967656e657261u)
        , v3_(key[1] ^ 0x7465646279746573u)
    {
    }

    void update(const void* data, std::size_t size) noexcept
    {
        const auto* bytes = static_cast<const unsigned char*>(data);
        size_ += size;
        for (; size != 0 && pending_ != 0; ++bytes, --size) // the rest of a word that an earlier piece began
            add(*bytes);
        for (; size >= 8; bytes += 8, size -= 8)
            compress(little_endian(bytes));
        for (; size != 0; ++bytes, --size)
            add(*bytes);
    }

    std::uint64_t finish() noexcept
    {
        compress(word_ | static_cast<std::uint64_t>(size_) << 56);
        v2_ ^= 0xff;
        for (int i = 0; i != D; ++i)
            round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

private:
    static std::uint64_t little_endian(const unsigned char* bytes) noexcept
    {
        std::uint64_t word = 0;
        if constexpr (std::endian::native == std::endian::little) {
            std::memcpy(&word, bytes, sizeof(word));
        } else {
            for (int i = 7; i >= 0; --i)
                word = word << 8 | bytes[i];
        }
        return word;
    }

    void add(unsigned char byte) noexcept
    {
        word_ |= static_cast<std::uint64_t>(byte) << 8 * pending_;
        if (++pending_ == 8) {
            compress(word_);
            word_ = 0;
            pending_ = 0;
        }
    }

    void compress(std::uint64_t word) noexcept
    {
        v3_ ^= word;
        for (int i = 0; i != C; ++i)
            round();
        v0_ ^= word;
    }

    void round() noexcept
    {
        v0_ += v1_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v3_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ += v3_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ += v1_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v2_ = std::rotl(v2_, 32);
    }

    std::uint64_t v0_;
    std::uint64_t v1_;
    std::uint64_t v2_;
    std::uint64_t v3_;
    std::uint64_t word_ = 0;
    int pending_ = 0; // bytes in `word_`
    std::size_t size_ = 0;
};

} // namespace joinery::detail
