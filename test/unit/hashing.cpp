// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

#include <joinery/detail/siphash.hpp>
#include <joinery/join_map.hpp>
#include <joinery/keyed_hash.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace joinery;
using detail::siphash;

// -- siphash -----------------------------------------------------------------------------------------------

using vectors = std::array<std::uint64_t, 64>;

constexpr std::array<std::uint64_t, 2> published_key{0x0706050403020100, 0x0f0e0d0c0b0a0908};

// The hashes of the byte strings 00, 00 01, 00 01 02, … of 0 to 63 bytes under the key 00 01 … 0f, from the reference
// implementation by the authors of SipHash.
constexpr vectors siphash_2_4{
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7,
    0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0,
    0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7, 0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
    0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
    0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8, 0xb8ad50c6f649af94,
    0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
    0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238,
    0x15e034d40fa197ae, 0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
    0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
    0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb, 0xe612a3cb9ecba951, 0xc766e62cfcadaf96,
    0xee64435a9752fe72, 0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea,
    0x245731c13ca42499, 0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
    0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};
constexpr vectors siphash_1_3{
    0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb, 0xcf75576088d38328,
    0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140, 0x369095118d299a8e, 0x25a48eb36c063de4,
    0x79de85ee92ff097f, 0x70c118c1f94dc352, 0x78a384b157b4d9a2, 0x306f760c1229ffa7, 0x605aa111c0f95d34,
    0xd320d86d2a519956, 0xcc4fdd1a7d908b66, 0x9cf2689063dbd80c, 0x8ffc389cb473e63e, 0xf21f9de58d297d1c,
    0xc0dc2f46a6cce040, 0xb992abfe2b45f844, 0x7ffe7b9ba320872e, 0x525a0e7fdae6c123, 0xf464aeb267349c8c,
    0x45cd5928705b0979, 0x3a3e35e3ca9913a5, 0xa91dc74e4ade3b35, 0xfb0bed02ef6cd00d, 0x88d93cb44ab1e1f4,
    0x540f11d643c5e663, 0x2370dd1f8c21d1bc, 0x81157b6c16a7b60d, 0x4d54b9e57a8ff9bf, 0x759f12781f2a753e,
    0xcea1a3bebf186b91, 0x2cf508d3ada26206, 0xb6101c2da3c33057, 0xb3f47496ae3a36a1, 0x626b57547b108392,
    0xc1d2363299e41531, 0x667cc1923f1ad944, 0x65704ffec8138825, 0x24f280d1c28949a6, 0xc2ca1cedfaf8876b,
    0xc2164bfc9f042196, 0xa16e9c9368b1d623, 0x49fb169c8b5114fd, 0x9f3143f8df074c46, 0xc6fdaf2412cc86b3,
    0x7eaf49d10a52098f, 0x1cf313559d292f9a, 0xc44a30dda2f41f12, 0x36fae98943a71ed0, 0x318fb34c73f0bce6,
    0xa27abf3670a7e980, 0xb4bcc0db243c6d75, 0x23f8d852fdb71513, 0x8f035f4da67d8a08, 0xd89cd0e5b7e8f148,
    0xf6f4e6bcf7a644ee, 0xaec59ad80f1837f2, 0xc3b2f6154b6694e0, 0x9d199062b7bbb3a8,
};

std::array<unsigned char, 64> ascending_bytes()
{
    std::array<unsigned char, 64> bytes{};
    for (std::size_t i = 0; i != bytes.size(); ++i)
        bytes[i] = static_cast<unsigned char>(i);
    return bytes;
}

template<int C, int D>
void expect_published(const vectors& published)
{
    const auto bytes = ascending_bytes();
    for (std::size_t size = 0; size != published.size(); ++size) {
        siphash<C, D> whole(published_key);
        whole.update(bytes.data(), size);
        EXPECT_EQ(whole.finish(), published[size]) << size << " bytes";
        for (std::size_t cut = 0; cut <= size; ++cut) {
            siphash<C, D> pieces(published_key);
            pieces.update(bytes.data(), cut / 2);
            pieces.update(bytes.data() + cut / 2, cut - cut / 2);
            pieces.update(bytes.data() + cut, size - cut);
            EXPECT_EQ(pieces.finish(), published[size]) << size << " bytes, cut at " << cut / 2 << " and " << cut;
        }
    }
}

TEST(SipHash, GivesThePublishedHashesHoweverItsInputIsCut)
{
    expect_published<2, 4>(siphash_2_4);
    expect_published<1, 3>(siphash_1_3);
}

TEST(SipHash, KeepsTheLengthModulo256InItsLastWord)
{
    const std::vector<char> zeros(300);
    std::set<std::uint64_t> hashes;
    for (std::size_t size = 0; size != 256; ++size) {
        siphash<1, 3> hash(published_key);
        hash.update(zeros.data(), size);
        hashes.insert(hash.finish());
    }
    EXPECT_EQ(hashes.size(), 256u);
}

// -- keyed_hash --------------------------------------------------------------------------------------------

enum class colour : std::uint8_t { red, green, blue };

struct own_key {
    int number;
    bool operator==(const own_key&) const = default;
};

/// A range whose equality is not that of its elements: only its own hash knows.
struct same_in_any_order : std::vector<int> {
    using std::vector<int>::vector;
    bool operator==(const same_in_any_order& other) const
    {
        return std::is_permutation(begin(), end(), other.begin(), other.end());
    }
};

} // namespace

template<>
struct std::hash<own_key> {
    std::size_t operator()(const own_key& key) const noexcept
    {
        return static_cast<std::size_t>(key.number);
    }
};

template<>
struct std::hash<same_in_any_order> {
    std::size_t operator()(const same_in_any_order& key) const noexcept
    {
        std::size_t sum = key.size();
        for (const int part : key)
            sum += static_cast<std::size_t>(part) * 31;
        return sum;
    }
};

namespace {

/// That different keys have different hashes, equal ones equal hashes, and that the seed has a part in each.
template<class K>
void expect_hashes_apart(const std::vector<K>& keys)
{
    const keyed_hash<K> hash;
    const keyed_hash<K> copy = hash;
    const keyed_hash<K> other;
    std::set<std::size_t> hashes;
    for (const K& key : keys) {
        hashes.insert(hash(key));
        EXPECT_EQ(hash(key), hash(K(key))) << "an equal key has another hash";
        EXPECT_EQ(hash(key), copy(key)) << "a copy has another seed";
        EXPECT_NE(hash(key), other(key)) << "two hashes have one seed, or it has no part in this key";
    }
    EXPECT_EQ(hashes.size(), keys.size()) << "two different keys collide";
}

TEST(KeyedHash, TellsKeysOfEachKindApart)
{
    static int first;
    static int second;
    expect_hashes_apart<int>({0, 1, -1, 1 << 30});
    expect_hashes_apart<char>({'a', 'b', '\0'});
    expect_hashes_apart<bool>({false, true});
    expect_hashes_apart<std::uint64_t>({0, 1, 1ull << 63, ~0ull});
    expect_hashes_apart<colour>({colour::red, colour::green, colour::blue});
    expect_hashes_apart<const int*>({&first, &second, nullptr});
    expect_hashes_apart<std::string>({"", "a", "b", "aa", std::string(1, '\0'), std::string(2, '\0')});
    expect_hashes_apart<std::u16string>({u"", u"a", u"b", u"ab"});
    expect_hashes_apart<own_key>({{1}, {2}});
    expect_hashes_apart<double>({0.0, 1.0, 1.5});
    expect_hashes_apart<std::shared_ptr<int>>({std::make_shared<int>(1), std::make_shared<int>(1), nullptr});
}

TEST(KeyedHash, TellsCompositeKeysApart)
{
    using strings = std::pair<std::string, std::string>;
    expect_hashes_apart<strings>({{"ab", "c"}, {"a", "bc"}, {"abc", ""}, {"", "abc"}});
    expect_hashes_apart<std::tuple<std::string, int, colour>>(
        {{"a", 1, colour::red}, {"a", 2, colour::red}, {"a", 1, colour::blue}, {"b", 1, colour::red}});
    using lists = std::vector<std::vector<int>>;
    expect_hashes_apart<lists>({{}, {{}}, {{}, {}}, {{1}, {2}}, {{1, 2}}, {{1, 2}, {}}, {{}, {1, 2}}});
    expect_hashes_apart<std::vector<std::string>>({{"ab", "c"}, {"a", "bc"}, {"abc"}, {"a", "b", "c"}});
    expect_hashes_apart<std::array<int, 2>>({{1, 2}, {2, 1}});
    expect_hashes_apart<std::vector<bool>>({{true, false}, {false, true}, {true}});
    expect_hashes_apart<std::pair<const std::string, std::vector<own_key>>>({{"a", {{1}}}, {"a", {{2}}}});
}

TEST(KeyedHash, TakesTypesThatHaveAStdHash)
{
    using either = std::variant<int, std::string>;
    expect_hashes_apart<std::optional<std::string>>({std::nullopt, "a", "b"});
    expect_hashes_apart<either>({1, 2, "a", "b"});
    expect_hashes_apart<std::filesystem::path>({"/", "/tmp", "tmp", "tmp/x"});
}

TEST(KeyedHash, GivesEqualKeysEqualHashesWhereEqualityIsTheTypesOwn)
{
    const keyed_hash<double> of_number;
    EXPECT_EQ(of_number(0.0), of_number(-0.0));
    const keyed_hash<std::filesystem::path> of_path;
    EXPECT_EQ(of_path("a//b"), of_path("a/b")) << "equal as paths";
    const keyed_hash<same_in_any_order> of_list;
    ASSERT_EQ((same_in_any_order{1, 2}), (same_in_any_order{2, 1}));
    EXPECT_EQ(of_list({1, 2}), of_list({2, 1})) << "its std::hash knows what its equality is";
}

template<class Hash>
concept transparent = requires { typename Hash::is_transparent; };

TEST(KeyedHash, FindsAStringByAnyKindOfString)
{
    const keyed_hash<std::string> hash;
    const std::string key = "key";
    EXPECT_EQ(hash(std::string_view(key)), hash(key));
    EXPECT_EQ(hash("key"), hash(key));
    EXPECT_EQ(hash(std::string_view("key and more").substr(0, 3)), hash(key));
    static_assert(transparent<keyed_hash<std::string>> && transparent<keyed_hash<std::string_view>>);
    static_assert(!transparent<keyed_hash<int>>);
}

TEST(KeyedHash, MapsHaveSeedsOfTheirOwnAndTellTheirHash)
{
    boost::asio::io_context context;
    const join_map<int, int> first(context);
    const join_map<int, int> second(context);
    EXPECT_NE(first.hash_function()(1), second.hash_function()(1));
    EXPECT_EQ(first.hash_function()(1), first.hash_function()(1));
    const join_map<int, int> third(context, 0, first.hash_function());
    EXPECT_EQ(third.hash_function()(1), first.hash_function()(1));
}

/// Over many seeds, flips each bit of the key, and counts how often each bit of the hash flips.
/** `flip(key, bit)` for `bits` bits. The bounds are 7 standard deviations from one half. */
template<class K, class F>
void expect_avalanche(const K& key, std::size_t bits, F&& flip)
{
    constexpr int seeds = 2048;
    const double deviation = std::sqrt(seeds) / 2;
    std::vector<std::array<int, 64>> flips(bits);
    for (int seed = 0; seed != seeds; ++seed) {
        const keyed_hash<K> hash;
        const std::size_t before = hash(key);
        for (std::size_t bit = 0; bit != bits; ++bit) {
            K changed = key;
            flip(changed, bit);
            for (std::size_t changes = before ^ hash(changed), out = 0; out != 64; ++out)
                flips[bit][out] += static_cast<int>(changes >> out & 1);
        }
    }
    for (std::size_t bit = 0; bit != bits; ++bit) {
        for (std::size_t out = 0; out != 64; ++out)
            EXPECT_NEAR(flips[bit][out], seeds / 2, 7 * deviation) << "bit " << bit << " of the key, " << out;
    }
}

TEST(KeyedHash, EachBitOfANumberFlipsEachBitOfTheHashHalfTheTime)
{
    const auto flip = [](std::uint64_t& key, std::size_t bit) { key ^= std::uint64_t(1) << bit; };
    expect_avalanche<std::uint64_t>(0, 64, flip);
    expect_avalanche<std::uint64_t>(0x0123456789abcdef, 64, flip);
}

TEST(KeyedHash, EachBitOfAStringFlipsEachBitOfTheHashHalfTheTime)
{
    expect_avalanche<std::string>("eleven char", 88, [](std::string& key, std::size_t bit) {
        key[bit / 8] = static_cast<char>(key[bit / 8] ^ 1 << bit % 8);
    });
}

TEST(KeyedHash, EachBitOfATypesOwnHashFlipsEachBitOfTheHashHalfTheTime)
{
    expect_avalanche<own_key>({5}, 31, [](own_key& key, std::size_t bit) { key.number ^= 1 << bit; });
}

} // namespace
