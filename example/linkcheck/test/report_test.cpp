// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "report.hpp"

#include "progress.hpp"
#include "text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

namespace linkcheck {
namespace {

report example()
{
    report all;
    all.links = 6;
    all.pages = 2;
    all.broken = {
        {"http://h/a", "http_status", "404 Not Found", {{"http://h/", {1, 7}}, {"http://h/b", {2}}}},
        {"http://h/start", "connect", "cannot connect: refused", {{"", {}}}},
    };
    all.fine = {{"http://h/", "", "", {{"", {}}}}};
    all.skipped = {{"http://other/", "external", "on another host", {{"http://h/", {3}}}},
                   {"mailto:x", "mailto", "not checked: mailto", {{"http://h/", {4}}}}};
    all.unchecked = {{"http://gone/", "host", "gone:80 cannot be connected to", {{"http://h/", {5}}}}};
    return all;
}

std::string written(const report& result, report_style style)
{
    std::ostringstream out;
    write(out, result, style);
    return out.str();
}

TEST(ReportText, NamesEachBrokenLinkWithItsPagesAndCountsTheRest)
{
    EXPECT_EQ(written(example(), {}), "Not checked:\n"
                                      "  1 link: gone:80 cannot be connected to\n"
                                      "\n"
                                      "Broken:\n"
                                      "  http://h/a: 404 Not Found\n"
                                      "    on http://h/ lines 1, 7\n"
                                      "    on http://h/b line 2\n"
                                      "  http://h/start: cannot connect: refused\n"
                                      "    given as a page to start from\n"
                                      "\n"
                                      "6 links on 2 pages: 1 fine, "
                                      "2 broken (1 connect, 1 http_status), "
                                      "2 skipped (1 external, 1 mailto), "
                                      "1 not checked (1 host)\n");
}

TEST(ReportText, SaysLittleWhenAllIsWell)
{
    report all;
    all.links = 1;
    all.pages = 1;
    all.fine = {{"http://h/", "", "", {{"", {}}}}};
    EXPECT_EQ(written(all, {}), "1 link on 1 page: 1 fine, 0 broken, 0 skipped, 0 not checked\n");
}

TEST(ReportText, ListsEverythingWhenVerbose)
{
    const auto text = written(example(), {report_format::text, true});
    EXPECT_NE(text.find("Fine:\n  http://h/\n"), std::string::npos);
    EXPECT_NE(text.find("  mailto:x: not checked: mailto\n"), std::string::npos);
}

TEST(ReportText, ShortensALongListOfPages)
{
    report all;
    all.broken = {{"http://h/a", "http_status", "404", {}}};
    for (int i = 1; i <= 7; ++i) {
        all.broken[0].places.push_back({"http://h/" + std::to_string(i), {1}});
    }
    EXPECT_NE(written(all, {}).find("    and on 2 other pages\n"), std::string::npos);
    EXPECT_NE(written(all, {report_format::text, true}).find("http://h/7"), std::string::npos);
}

TEST(ReportText, NamesAPageThatIsBrokenOnceForAllItsFragments)
{
    report all;
    all.broken = {{"http://h/a", "http_status", "404", {{"http://h/", {1}}}},
                  {"http://h/a#x", "http_status", "404", {{"http://h/", {2}}, {"http://h/b", {3}}}},
                  {"http://h/c#x", "fragment", "no x", {{"http://h/", {4}}}},
                  {"http://h/c#y", "fragment", "no y", {{"http://h/", {5}}}}};
    const auto text = written(all, {});
    EXPECT_NE(text.find("  http://h/a: 404 (for 2 links to it that differ after the #)\n"
                        "    on http://h/ lines 1, 2\n"
                        "    on http://h/b line 3\n"
                        "  http://h/c#x: no x\n"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("4 broken (2 fragment, 2 http_status)"), std::string::npos) << text;
}

TEST(ReportText, SaysThatItWasInterruptedAndHowMuchIsLeft)
{
    auto all = example();
    all.unchecked = {{"http://h/x", "interrupted", "interrupted", {}},
                     {"http://h/y", "interrupted", "interrupted", {}}};
    all.interrupted = true;
    const auto text = written(all, {});
    EXPECT_NE(text.find("Interrupted: this is what was found so far.\n"), std::string::npos);
    EXPECT_NE(text.find("Not checked:\n  2 links: interrupted\n\n"), std::string::npos);
}

TEST(ReportText, LetsNoControlCharacterThrough)
{
    report all;
    all.broken = {{"\x1b[2J", "http_status", "404 \x1b]0;x\x07\nfake: fine", {{"a\rb", {1}}}}};
    const auto text = written(all, {});
    EXPECT_NE(text.find("\\x1B[2J: 404 \\x1B]0;x\\x07\\x0Afake: fine\n"), std::string::npos) << text;
    EXPECT_NE(text.find("a\\x0Db"), std::string::npos) << text;
}

TEST(ReportJson, IsOneObjectWithTheSameFindings)
{
    const auto all = boost::json::parse(written(example(), {report_format::json, true}));
    EXPECT_EQ(all.at("summary").at("links"), 6);
    EXPECT_EQ(all.at("summary").at("interrupted"), false);
    EXPECT_EQ(all.at("fine").as_array().size(), 1U);
    EXPECT_EQ(all.at("skipped").as_array().size(), 2U);
    const auto& broken = all.at("broken").as_array();
    ASSERT_EQ(broken.size(), 2U);
    EXPECT_EQ(broken[0].at("url"), "http://h/a");
    EXPECT_EQ(broken[0].at("kind"), "http_status");
    EXPECT_EQ(broken[0].at("message"), "404 Not Found");
    EXPECT_EQ(broken[0].at("places").at(0).at("lines").at(1), 7);
    EXPECT_EQ(broken[1].at("places").at(0), boost::json::object());
}

TEST(ReportJson, StaysJsonWhateverAServerSaid)
{
    report all;
    all.broken = {{"\"\\\x80\xff\x01", "http_status", "404 \xed\xa0\x80\n", {{"p\xc0", {1}}}}};
    const auto text = written(all, {report_format::json, false});
    EXPECT_NO_THROW(boost::json::parse(text)) << text;
}

TEST(ReportExitStatus, IsZeroOnlyIfNothingIsBrokenAndNothingUnchecked)
{
    report all;
    EXPECT_EQ(exit_status(all), 0);
    all.skipped.emplace_back();
    all.fine.emplace_back();
    EXPECT_EQ(exit_status(all), 0);
    all.unchecked.emplace_back();
    EXPECT_EQ(exit_status(all), 1);
    all.unchecked.clear();
    all.broken.emplace_back();
    EXPECT_EQ(exit_status(all), 1);
}

TEST(TextPrintable, KeepsTextAndEscapesTheRest)
{
    EXPECT_EQ(printable("plain \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"),
              "plain \xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80");
    EXPECT_EQ(printable(std::string_view("\0\x7f", 2)), "\\x00\\x7F");
    EXPECT_EQ(printable("\x80\xC3"), "\\x80\\xC3");
    EXPECT_EQ(printable("\xC0\xAF \xED\xA0\x80"), "\\xC0\\xAF \\xED\\xA0\\x80"); // not UTF-8
    EXPECT_EQ(printable("\xC2\x9B \xE2\x80\xAE"), "\\xC2\\x9B \\xE2\\x80\\xAE"); // controls
    EXPECT_EQ(printable("0123456789", 4), "0123... (10 bytes)");
}

TEST(ProgressLine, FitsTheWidth)
{
    EXPECT_EQ(progress_line({4, 1, 1}, 80), "[##########..............................] 1 of 4 URLs checked, 1 failed");
    EXPECT_EQ(progress_line({0, 0, 0}, 79).size(), 40 + 2 + 30U);
    for (std::size_t width = 0; width < 100; ++width) {
        EXPECT_LE(progress_line({1000, 500, 2}, width).size(), width);
    }
}

} // namespace
} // namespace linkcheck
