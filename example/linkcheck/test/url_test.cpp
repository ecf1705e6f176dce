// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "url.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace linkcheck {
namespace {

struct row {
    std::string reference;
    std::string expected;
};

void expect_resolved(const std::string& base, const std::vector<row>& rows)
{
    for (const auto& [reference, expected] : rows) {
        const auto link = resolve(base, reference);
        EXPECT_EQ(link.kind, link_kind::web) << reference << ": " << link.problem;
        EXPECT_EQ(link.text(), expected) << reference;
    }
}

TEST(UrlResolve, FollowsTheExamplesOfTheStandard)
{
    expect_resolved("http://a/b/c/d;p?q", {
                                              {"g", "http://a/b/c/g"},
                                              {"./g", "http://a/b/c/g"},
                                              {"g/", "http://a/b/c/g/"},
                                              {"/g", "http://a/g"},
                                              {"//g", "http://g/"},
                                              {"?y", "http://a/b/c/d;p?y"},
                                              {"g?y", "http://a/b/c/g?y"},
                                              {"#s", "http://a/b/c/d;p?q#s"},
                                              {"g#s", "http://a/b/c/g#s"},
                                              {"g?y#s", "http://a/b/c/g?y#s"},
                                              {";x", "http://a/b/c/;x"},
                                              {"g;x", "http://a/b/c/g;x"},
                                              {"g;x?y#s", "http://a/b/c/g;x?y#s"},
                                              {"", "http://a/b/c/d;p?q"},
                                              {".", "http://a/b/c/"},
                                              {"./", "http://a/b/c/"},
                                              {"..", "http://a/b/"},
                                              {"../", "http://a/b/"},
                                              {"../g", "http://a/b/g"},
                                              {"../..", "http://a/"},
                                              {"../../g", "http://a/g"},
                                              {"../../../g", "http://a/g"},
                                              {"../../../../g", "http://a/g"},
                                              {"/./g", "http://a/g"},
                                              {"/../g", "http://a/g"},
                                              {"g.", "http://a/b/c/g."},
                                              {".g", "http://a/b/c/.g"},
                                              {"g..", "http://a/b/c/g.."},
                                              {"..g", "http://a/b/c/..g"},
                                              {"./../g", "http://a/b/g"},
                                              {"./g/.", "http://a/b/c/g/"},
                                              {"g/./h", "http://a/b/c/g/h"},
                                              {"g/../h", "http://a/b/c/h"},
                                              {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
                                              {"g;x=1/../y", "http://a/b/c/y"},
                                              {"g?y/./x", "http://a/b/c/g?y/./x"},
                                              {"g#s/../x", "http://a/b/c/g#s/../x"},
                                          });
}

TEST(UrlResolve, GivesEachSpellingOfAUrlTheSameForm)
{
    expect_resolved("https://h/p", {
                                       {"HTTP://EXAMPLE.com:80", "http://example.com/"},
                                       {"https://example.com:443/", "https://example.com/"},
                                       {"http://example.com:443/", "http://example.com:443/"},
                                       {"http://example.com:/", "http://example.com/"},
                                       {"http://example.com:0080/", "http://example.com/"},
                                       {"http://example.com?q", "http://example.com/?q"},
                                       {"http://example.com#f", "http://example.com/#f"},
                                       {"http://user:secret@example.com/", "http://example.com/"},
                                       {"/%7euser/%41%2f%c3%a9", "https://h/~user/A%2F%C3%A9"},
                                       {"/a/%2e%2E/b", "https://h/b"},
                                       {"?%61=%3d", "https://h/p?a=%3D"},
                                       {"#%61%20", "https://h/p#a%20"},
                                       {"//[0:0::1]:80/", "https://[::1]:80/"},
                                       {"//1.2.3.4.example/", "https://1.2.3.4.example/"},
                                       {"//1.2.3.4/", "https://1.2.3.4/"},
                                       {"//ex%61mple/", "https://example/"},
                                       {"//b\xC3\xBC"
                                        "cher.example/",
                                        "https://xn--bcher-kva.example/"},
                                       {"a//b", "https://h/a//b"},
                                       {"/a/b/../../..//c", "https://h//c"},
                                   });
}

TEST(UrlResolve, ForgivesWhatABrowserForgives)
{
    expect_resolved("http://h/d/p", {
                                        {"  a.html \n", "http://h/d/a.html"},
                                        {"a\n\t b.html", "http://h/d/a%20b.html"},
                                        {"..\\i\\x.png", "http://h/i/x.png"},
                                        {"http:\\\\other\\x", "http://other/x"},
                                        {"a b|c{d}", "http://h/d/a%20b%7Cc%7Bd%7D"},
                                        {"\xC3\xA4?\xC3\xB6#\xC3\xBC", "http://h/d/%C3%A4?%C3%B6#%C3%BC"},
                                        {"a[1]", "http://h/d/a%5B1%5D"},
                                        {"#a#b", "http://h/d/p#a%23b"},
                                        {"ht tp://x", "http://h/d/ht%20tp://x"},
                                    });
}

TEST(UrlResolve, SaysWhatIsWrongWithAReference)
{
    const std::vector<row> rows{
        {"http://", "no host"},
        {"http:///path", "no host"},
        {"http:", "no host"},
        {"http:page.html", "no host"},
        {"http://:80/", "no host"},
        {"http://a b/", "invalid host 'a b'"},
        {"http://[::1/", "invalid host '[::1'"},
        {"http://[::g]/", "invalid host '[::g]'"},
        {"http://[]/", "invalid host '[]'"},
        {"http://1.2.3.4.5/", "invalid host '1.2.3.4.5'"},
        {"http://256.1.1.1/", "invalid host '256.1.1.1'"},
        {"http://a<b/", "invalid host 'a<b'"},
        {"http://a%00b/", "invalid host 'a\\x00b'"},
        {"http://h:port/", "invalid port 'port'"},
        {"http://h:65536/", "invalid port '65536'"},
        {"http://h:0/", "invalid port '0'"},
        {"http://h:-1/", "invalid port '-1'"},
        {"http://h:99999999999999999999/", "invalid port '99999999999999999999'"},
        {"a%", "'%' is not followed by two hexadecimal digits"},
        {"a%4", "'%' is not followed by two hexadecimal digits"},
        {"a?%zz", "'%' is not followed by two hexadecimal digits"},
        {"a#100%", "'%' is not followed by two hexadecimal digits"},
        {"htp://example/", "unknown scheme 'htp'"},
        {"C:\\page.html", "unknown scheme 'c'"},
        {std::string(20'000, 'a'), "longer than 16384 bytes"},
        {'a' + std::string(10'000, ' ') + 'a', "longer than 16384 bytes"},
    };
    for (const auto& [reference, expected] : rows) {
        const auto link = resolve("http://h/", reference);
        EXPECT_EQ(link.kind, link_kind::malformed) << reference;
        EXPECT_EQ(link.problem, expected) << reference;
    }
}

TEST(UrlResolve, KeepsLittleOfAHugeReference)
{
    const std::string huge(1'000'000, 'a');
    EXPECT_LT(resolve("http://h/", huge).url.size(), 1000U);
    EXPECT_LT(resolve("http://h/", "data:," + huge).url.size(), 1000U);
}

TEST(UrlResolve, SkipsSchemesThatAreNotOfTheWeb)
{
    for (const std::string scheme : {"mailto", "javascript", "tel", "data", "ftp", "file"}) {
        const auto link = resolve("http://h/", scheme + ":something#not a fragment");
        EXPECT_EQ(link.kind, link_kind::skipped) << scheme;
        EXPECT_EQ(link.problem, scheme);
        EXPECT_EQ(link.text(), scheme + ":something#not a fragment");
    }
}

TEST(UrlResolve, NeedsABaseForARelativeReference)
{
    EXPECT_EQ(resolve("", "page.html").kind, link_kind::malformed);
    EXPECT_EQ(resolve("", "").kind, link_kind::malformed);
    EXPECT_EQ(resolve("", "http://h").text(), "http://h/");
}

TEST(UrlResolve, LeavesItsOwnResultsAsTheyAre)
{
    for (const auto* const text : {"http://h/", "http://[::1]:81/a%20b/?%C3%A4#%25", "https://h//a"}) {
        EXPECT_EQ(resolve("", text).text(), text);
    }
}

TEST(UrlEndpoint, TellsWhereToConnectAndWhatToAskFor)
{
    const auto plain = endpoint_of("http://example.com/a?b");
    EXPECT_FALSE(plain.tls);
    EXPECT_EQ(plain.host, "example.com");
    EXPECT_EQ(plain.port, 80);
    EXPECT_EQ(plain.target, "/a?b");
    EXPECT_EQ(plain.host_field(), "example.com");
    EXPECT_FALSE(plain.is_ip_address());

    const auto secure = endpoint_of("https://[::1]:8443/");
    EXPECT_TRUE(secure.tls);
    EXPECT_EQ(secure.host, "::1");
    EXPECT_EQ(secure.port, 8443);
    EXPECT_EQ(secure.target, "/");
    EXPECT_EQ(secure.host_field(), "[::1]:8443");
    EXPECT_TRUE(secure.is_ip_address());

    EXPECT_EQ(endpoint_of("https://[::1]/").port, 443);
    EXPECT_EQ(host_of("https://h/x"), "h:443");
    EXPECT_EQ(host_of("http://h:8000/x"), "h:8000");
}

TEST(UrlPercentDecoded, DecodesWhatIsEncodedOnly)
{
    EXPECT_EQ(percent_decoded("a%20b%2fc"), "a b/c");
    EXPECT_EQ(percent_decoded("100%"), "100%");
    EXPECT_EQ(percent_decoded("%4"), "%4");
    EXPECT_EQ(percent_decoded("%zz%41"), "%zzA");
}

} // namespace
} // namespace linkcheck
