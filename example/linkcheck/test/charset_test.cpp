// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "charset.hpp"

#include <gtest/gtest.h>

#include <string>

namespace linkcheck {
namespace {

TEST(CharsetToUtf8, UnderstandsAPageAsABrowserDoes)
{
    const struct {
        std::string body;
        std::string content_type;
        std::string expected;
    } rows[] = {
        {"\xC3\xA4", "text/html; charset=utf-8", "\xC3\xA4"},
        {"\xE4", "text/html; charset=ISO-8859-1", "\xC3\xA4"},
        {"\xE4", "text/html; charset=\"latin1\"", "\xC3\xA4"},
        {"\xE4", "text/html;charset=iso-8859-5; x=y", "\xD1\x84"},
        {"<meta charset=koi8-r>\xC1", "text/html", "<meta charset=koi8-r>\xD0\xB0"},
        {"<meta charset='utf-16'>\xC3\xA4", "", "<meta charset='utf-16'>\xC3\xA4"},
        {"\xC3\xA4", "text/html", "\xC3\xA4"},
        {"\xE4", "text/html", "\xC3\xA4"},
        {"\xE4", "text/html; charset=no-such", "\xC3\xA4"},
        {"\xE4", "text/html; charset=", "\xC3\xA4"},
        {"\x80", "text/html; charset=ascii", "\xE2\x82\xAC"},
        {"a\x81z", "text/html; charset=windows-1252", "a\xEF\xBF\xBDz"},
        {"\xEF\xBB\xBFx\xC3\xA4", "text/html; charset=latin1", "x\xC3\xA4"},
        {std::string("\xFF\xFE\xE4\x00", 4), "text/html; charset=utf-8", "\xC3\xA4"},
        {std::string("\xFE\xFF\x00\xE4", 4), "", "\xC3\xA4"},
        {std::string("\xFF\xFE\xE4\x00x", 5), "", "\xC3\xA4\xEF\xBF\xBD"},
        {"\x82\xA0", "text/html; charset=Shift_JIS", "\xE3\x81\x82"},
        {"", "text/html; charset=utf-16", ""},
    };
    for (const auto& [body, content_type, expected] : rows) {
        EXPECT_EQ(to_utf8(body, content_type), expected) << content_type << ": " << body;
    }
}

TEST(CharsetToUtf8, ConvertsMoreThanOneBufferful)
{
    std::string expected;
    for (int i = 0; i < 10'000; ++i) {
        expected += "\xC3\xA4";
    }
    EXPECT_EQ(to_utf8(std::string(10'000, '\xE4'), "text/html; charset=latin1"), expected);
}

} // namespace
} // namespace linkcheck
