// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "html.hpp"

#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <vector>

namespace linkcheck {
namespace {

using strings = std::vector<std::string>;

strings references(const page& from)
{
    strings found;
    for (const auto& each : from.links) {
        found.push_back(each.reference);
    }
    return found;
}

TEST(HtmlParse, FindsEveryKindOfLink)
{
    const struct {
        std::string html;
        strings expected;
    } rows[] = {
        {"<a href=x>", {"x"}},
        {"<a href=\"a&amp;b=&eacute;\">", {"a&b=\xC3\xA9"}},
        {"<A HREF='x'>", {"x"}},
        {"<area href=x>", {"x"}},
        {"<link rel=stylesheet href=x>", {"x"}},
        {"<link rel='dns-prefetch' href=//x><link rel=PRECONNECT href=//y>", {}},
        {"<img src=a longdesc=b>", {"a", "b"}},
        {"<img srcset='a 1x, b,c 2x,d,,e (1,2) 3x, f'>", {"a", "b,c", "d,,e", "f"}},
        {"<picture><source srcset='a, b 2x'><img src=c></picture>", {"a", "b", "c"}},
        {"<script src=x></script>", {"x"}},
        {"<script>'<a href=no>'</script>", {}},
        {"<!-- <a href=no> --><textarea><a href=no></textarea>", {}},
        {"<noscript><a href=x></noscript>", {"x"}},
        {"<iframe src=x></iframe>", {"x"}},
        {"<frameset><frame src=x longdesc=y></frameset>", {"x", "y"}},
        {"<video src=a poster=b><source src=c><track src=d></video>", {"a", "b", "c", "d"}},
        {"<audio src=x></audio>", {"x"}},
        {"<embed src=x>", {"x"}},
        {"<object data=x></object>", {"x"}},
        {"<input type=image src=x>", {"x"}},
        {"<form action=a></form><form method=get action=b></form>", {"a", "b"}},
        {"<form method=POST action=no></form>", {}},
        {"<button formaction=x>", {"x"}},
        {"<blockquote cite=a></blockquote><q cite=b></q><ins cite=c></ins>", {"a", "b", "c"}},
        {"<body background=x>", {"x"}},
        {"<table background=x><td background=y>", {"x", "y"}},
        {"<meta http-equiv=refresh content='5; url=x'>", {"x"}},
        {"<meta http-equiv=Refresh content=\"0;URL='x y'\">", {"x y"}},
        {"<meta http-equiv=refresh content='0, x'>", {"x"}},
        {"<meta http-equiv=refresh content='5'>", {}},
        {"<meta http-equiv=refresh content='soon'>", {}},
        {"<meta name=description content='5; url=no'>", {}},
        {"<svg><a xlink:href=x></a></svg>", {"x"}},
        {"<p style=\"background: url('x')\">", {"x"}},
        {"<style>@import 'a'; p { background: url(b) }</style>", {"a", "b"}},
        {"<template><a href=no></a></template>", {}},
        {"<a name=x>", {}},
        {"", {}},
        {"no markup < at & all", {}},
    };
    for (const auto& [html, expected] : rows) {
        EXPECT_EQ(references(parse_html(html)), expected) << html;
    }
}

TEST(HtmlParse, CountsALinkOnceHoweverTheParserRepairsThePage)
{
    EXPECT_EQ(references(parse_html("<p><a href=x>one<p>two<div>three<p>four")), strings{"x"});
    EXPECT_EQ(references(parse_html("<a href=x><table><tr><td></a>cell</table>")), strings{"x"});
    EXPECT_EQ(references(parse_html("<b><a href=x></b>misnested</a>")), strings{"x"});
}

TEST(HtmlParse, TellsTheLines)
{
    const auto found = parse_html("<p>\n<a href=a>\n\n<a\nhref=b>\n<style>\n\np{x:url(c)}</style>");
    ASSERT_EQ(found.links.size(), 3U);
    EXPECT_EQ(found.links[0].line, 2);
    EXPECT_EQ(found.links[1].line, 4);
    EXPECT_EQ(found.links[2].line, 8);
}

TEST(HtmlParse, FindsWhatAFragmentCanMean)
{
    const auto found = parse_html("<p id=b><a name=a><a name='&auml; '><img name=no><svg><g id=c>"
                                  "<p id=b><template><p id=no></template><a id='' name=''>");
    EXPECT_EQ(found.anchors, (strings{"", "a", "b", "c", "\xC3\xA4 "}));
}

TEST(HtmlParse, TakesTheFirstBase)
{
    EXPECT_EQ(parse_html("<base target=_top><base href=x><base href=y>").base, "x");
    EXPECT_EQ(parse_html("<p>").base, "");
}

TEST(HtmlParse, SurvivesBytesOfEveryKind)
{
    std::string bytes;
    for (int i = 0; i < 10'000; ++i) {
        bytes += static_cast<char>(i * 7919 % 256);
    }
    EXPECT_NO_THROW(parse_html(bytes));
    EXPECT_EQ(references(parse_html(std::string("<a href=x\0y>", 12))).size(), 1U);
}

TEST(HtmlParse, SurvivesElementsNestedDeeperThanTheStack)
{
    // Each <div> makes the parser look at all that are open: no deeper, to be quick.
    std::string html;
    for (int i = 0; i < 20'000; ++i) {
        html += "<div>";
    }
    EXPECT_EQ(references(parse_html(html + "<a href=x>")), strings{"x"});
}

TEST(HtmlParse, RefusesAPageThatAsksForTooMuchMemory)
{
    std::string html; // of quadratic size, as the standard wants it
    for (int i = 0; i < 10'000; ++i) {
        html += "<font size=" + std::to_string(i) + "><p>";
    }
    EXPECT_THROW(parse_html(html, std::size_t{8} << 20U), page_too_complex);
}

TEST(HtmlParse, StopsWhenItIsToldTo)
{
    std::stop_source source;
    source.request_stop();
    std::string html;
    for (int i = 0; i < 1'000; ++i) {
        html += "<p>paragraph";
    }
    EXPECT_THROW(parse_html(html, std::size_t{1} << 30U, source.get_token()), page_too_complex);
}

TEST(CssParse, FindsReferencesAndNothingElse)
{
    const struct {
        std::string css;
        strings expected;
    } rows[] = {
        {"a { b: url(x) }", {"x"}},
        {"a { b: URL( 'x y' ) }", {"x y"}},
        {"a { b: url( x ), url(\"y\") }", {"x", "y"}},
        {"a { b: url() }", {}},
        {"@import 'x';@import \"y\" screen;", {"x", "y"}},
        {"@import url(x) print;", {"x"}},
        {"@charset 'no'; a { content: 'url(no)' }", {}},
        {"/* url(no) */ b { /* ' */ c: url(x) } /* url(no)", {"x"}},
        {"my-url(no) curl(no)", {}},
        {"a{b:url(a\\20 b\\)c)}", {"a b)c"}},
        {"a{b:url('a\\\nb')}", {"ab"}},
        {"a{b:url('x", {"x"}},
        {"url(", {}},
        {"\\", {}},
        {"@", {}},
    };
    for (const auto& [css, expected] : rows) {
        EXPECT_EQ(references(parse_css(css)), expected) << css;
    }
}

TEST(CssParse, TellsTheLines)
{
    const auto found = parse_css("/*\n*/ url(a)\n\nurl('b')");
    ASSERT_EQ(found.links.size(), 2U);
    EXPECT_EQ(found.links[0].line, 2);
    EXPECT_EQ(found.links[1].line, 4);
}

} // namespace
} // namespace linkcheck
