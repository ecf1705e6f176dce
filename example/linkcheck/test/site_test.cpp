// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "site.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace linkcheck {
namespace {

using strings = std::vector<std::string>;

// A site that exists in a table only: what its servers would answer.
struct fake_web {
    std::map<std::string, answer> answers;
    strings asked;

    // A page with these links and anchors.
    void page(const std::string& url, const strings& links, strings anchors = {})
    {
        answer found;
        std::sort(anchors.begin(), anchors.end());
        found.anchors = std::move(anchors);
        found.is_searched = true;
        for (const auto& each : links) {
            found.links.push_back({resolve(url, each), 1});
        }
        answers[url] = found;
    }

    void redirect(const std::string& url, const std::string& target)
    {
        answers[url].redirect = resolve(url, target);
    }

    void failure(const std::string& url, problem_kind kind)
    {
        answers[url].failure = problem{kind, "failed"};
    }

    answer answer_to(const site::request& asked_for)
    {
        asked.push_back(asked_for.url);
        auto found = answers[asked_for.url];
        if (asked_for.wanted != depth::links) {
            found.links.clear();
            found.is_searched = false;
        }
        if (asked_for.wanted == depth::existence) {
            found.anchors.reset();
        }
        return found;
    }

    // Asks until nothing is left, the newest first if so wanted: the order must not matter.
    report crawl(site links, bool newest_first = false)
    {
        std::vector<site::request> taken;
        for (;;) {
            while (auto next = links.take_next()) {
                taken.push_back(*next);
            }
            if (taken.empty()) {
                return links.result();
            }
            const auto at = newest_first ? taken.end() - 1 : taken.begin();
            const auto request = *at;
            taken.erase(at);
            links.complete(request, answer_to(request));
        }
    }
};

site starting_at(const strings& urls, site_rules rules = {})
{
    site links(rules);
    for (const auto& each : urls) {
        links.add_start(resolve("", each));
    }
    return links;
}

std::string message_of(const report& result, const std::string& url)
{
    for (const auto* const list : {&result.broken, &result.skipped, &result.unchecked, &result.fine}) {
        for (const auto& each : *list) {
            if (each.url == url) {
                return each.kind + ": " + each.message;
            }
        }
    }
    return "lost";
}

void expect_complete(const report& result)
{
    EXPECT_EQ(result.links,
              result.broken.size() + result.fine.size() + result.skipped.size() + result.unchecked.size());
}

TEST(Site, FollowsLinksWithinItsHostsAndNoFurther)
{
    fake_web web;
    web.page("http://h/", {"a", "//other/"});
    web.page("http://h/a", {"b", "//h:81/"});
    web.page("http://h/b", {"missing"});
    web.failure("http://h/missing", problem_kind::http_status);
    web.page("http://other/", {"deeper"});
    web.page("http://h:81/", {"deeper"});
    const auto result = web.crawl(starting_at({"http://h/"}));
    expect_complete(result);
    EXPECT_EQ(result.links, 6U);
    EXPECT_EQ(result.pages, 3U);
    EXPECT_EQ(result.fine.size(), 5U);
    ASSERT_EQ(result.broken.size(), 1U);
    EXPECT_EQ(result.broken[0].url, "http://h/missing");
    EXPECT_EQ(result.broken[0].places, (std::vector<place>{{"http://h/b", {1}}}));
}

TEST(Site, AsksForEachUrlOnce)
{
    fake_web web;
    web.page("http://h/", {"a", "a#x", "b", "/", "//other/", "//other/"}, {"x"});
    web.page("http://h/a", {"/", "b#x", "//other/"}, {"x"});
    web.redirect("http://h/b", "a");
    web.crawl(starting_at({"http://h/"}));
    auto asked = web.asked;
    std::sort(asked.begin(), asked.end());
    EXPECT_EQ(asked, (strings{"http://h/", "http://h/a", "http://h/b", "http://other/"}));
}

TEST(Site, ReportsALinkWithEveryPageItStandsOn)
{
    fake_web web;
    web.page("http://h/", {"b", "no", "no"});
    web.page("http://h/b", {"no"});
    web.failure("http://h/no", problem_kind::timeout);
    const auto result = web.crawl(starting_at({"http://h/", "http://h/no"}));
    ASSERT_EQ(result.broken.size(), 1U);
    EXPECT_EQ(result.broken[0].places, (std::vector<place>{{"", {}}, {"http://h/", {1}}, {"http://h/b", {1}}}));
}

TEST(Site, CountsWhatIsSkippedAndWhatIsMalformed)
{
    fake_web web;
    web.page("http://h/", {"mailto:x", "javascript:y", "http://", "http://", "htp://z"});
    const auto result = web.crawl(starting_at({"http://h/"}));
    expect_complete(result);
    EXPECT_EQ(message_of(result, "mailto:x"), "mailto: not checked: mailto");
    EXPECT_EQ(message_of(result, "http://"), "malformed: malformed URL: no host");
    EXPECT_EQ(message_of(result, "htp://z"), "malformed: malformed URL: unknown scheme 'htp'");
    EXPECT_EQ(result.links, 5U);
}

TEST(Site, SkipsExternalLinksIfToldTo)
{
    fake_web web;
    web.page("http://h/", {"//other/", "//other/#x", "r"});
    web.redirect("http://h/r", "//other/");
    const auto result = web.crawl(starting_at({"http://h/"}, {.check_external = false}));
    expect_complete(result);
    EXPECT_EQ(web.asked, (strings{"http://h/", "http://h/r"}));
    EXPECT_EQ(message_of(result, "http://other/"), "external: on another host");
    EXPECT_EQ(message_of(result, "http://other/#x"), "external: on another host");
    EXPECT_EQ(message_of(result, "http://h/r"), "external: on another host");
}

TEST(SiteFragments, AreLookedForOnThePage)
{
    fake_web web;
    web.page(
        "http://h/",
        {"#a", "#b", "#", "#top", "#TOP", "#%C3%A4", "#%2561", "#a:~:text=x", "#:~:text=x", "p#c", "p#d", "plain#x"},
        {"a", "\xC3\xA4", "%61"});
    web.page("http://h/p", {}, {"c"});
    web.answers["http://h/plain"] = {};
    const auto result = web.crawl(starting_at({"http://h/"}));
    expect_complete(result);
    ASSERT_EQ(result.broken.size(), 2U);
    EXPECT_EQ(message_of(result, "http://h/#b"), "fragment: no element with the id 'b'");
    EXPECT_EQ(message_of(result, "http://h/p#d"), "fragment: no element with the id 'd'");
}

TEST(SiteFragments, AreIgnoredIfToldTo)
{
    fake_web web;
    web.page("http://h/", {"#a", "#b"});
    const auto result = web.crawl(starting_at({"http://h/"}, {.check_fragments = false}));
    EXPECT_EQ(result.links, 1U);
    EXPECT_TRUE(result.broken.empty());
}

TEST(SiteFragments, OfAnExternalPageMakeItWorthReading)
{
    for (const bool newest_first : {false, true}) {
        fake_web web;
        web.page("http://h/", {"//other/", "a", "b"});
        web.page("http://h/a", {"//other/#x"});
        web.page("http://h/b", {"//other/#y"});
        web.page("http://other/", {"deeper"}, {"x"});
        const auto result = web.crawl(starting_at({"http://h/"}), newest_first);
        expect_complete(result);
        EXPECT_EQ(result.pages, 3U);
        EXPECT_EQ(message_of(result, "http://other/"), ": ");
        EXPECT_EQ(message_of(result, "http://other/#x"), ": ");
        EXPECT_EQ(message_of(result, "http://other/#y"), "fragment: no element with the id 'y'");
    }
}

TEST(SiteFragments, AreCarriedAlongARedirectThatHasNone)
{
    fake_web web;
    web.page("http://h/", {"old#x", "old#y", "named#y", "out#z"});
    web.redirect("http://h/old", "new");
    web.redirect("http://h/named", "new#x");
    web.redirect("http://h/out", "//other/");
    web.page("http://h/new", {}, {"x"});
    web.page("http://other/", {}, {"x"});
    const auto result = web.crawl(starting_at({"http://h/"}));
    EXPECT_EQ(message_of(result, "http://h/old#x"), ": ");
    EXPECT_EQ(message_of(result, "http://h/old#y"),
              "fragment: redirects to http://h/new#y: no element with the id 'y'");
    EXPECT_EQ(message_of(result, "http://h/named#y"), ": ");
    EXPECT_EQ(message_of(result, "http://h/out#z"),
              "fragment: redirects to http://other/#z: no element with the id 'z'");
}

TEST(SiteRedirects, AreFollowedUpToALimitCountedFromTheLink)
{
    for (const bool newest_first : {false, true}) {
        fake_web web;
        web.page("http://h/", {"0", "1", "other"});
        web.page("http://h/other", {"3"});
        for (int i = 0; i < 9; ++i) {
            web.redirect("http://h/" + std::to_string(i), std::to_string(i + 1));
        }
        web.page("http://h/9", {});
        auto result = web.crawl(starting_at({"http://h/"}, {.max_redirects = 8}), newest_first);
        expect_complete(result);
        EXPECT_EQ(message_of(result, "http://h/0"), "redirect: more than 8 redirects");
        EXPECT_EQ(message_of(result, "http://h/1"), ": ");

        result = web.crawl(starting_at({"http://h/"}, {.max_redirects = 6}), newest_first);
        EXPECT_EQ(message_of(result, "http://h/1"), "redirect: more than 6 redirects");
        EXPECT_EQ(message_of(result, "http://h/3"), ": ");
    }
}

TEST(SiteRedirects, ThatNeverEndAreNotFollowedForEver)
{
    fake_web web;
    web.page("http://h/", {"r"});
    std::string url = "http://h/r";
    for (int i = 0; i < 100; ++i) {
        web.redirect(url, url + "r");
        url += "r";
    }
    const auto result = web.crawl(starting_at({"http://h/"}));
    EXPECT_EQ(message_of(result, "http://h/r"), "redirect: more than 10 redirects");
    EXPECT_EQ(web.asked.size(), 12U);
}

TEST(SiteRedirects, InCirclesAreNamed)
{
    fake_web web;
    web.page("http://h/", {"a", "self", "in"});
    web.redirect("http://h/a", "b");
    web.redirect("http://h/b", "a");
    web.redirect("http://h/self", "self#x");
    web.redirect("http://h/in", "b");
    const auto result = web.crawl(starting_at({"http://h/"}));
    expect_complete(result);
    EXPECT_EQ(message_of(result, "http://h/a"), "redirect: redirect loop: http://h/a -> http://h/b -> http://h/a");
    EXPECT_EQ(message_of(result, "http://h/self"), "redirect: redirect loop: http://h/self -> http://h/self");
    EXPECT_EQ(message_of(result, "http://h/in"),
              "redirect: redirect loop: http://h/in -> http://h/b -> http://h/a -> http://h/b");
}

TEST(SiteRedirects, TellWhereTheyFailed)
{
    fake_web web;
    web.page("http://h/", {"a", "b", "c"});
    web.redirect("http://h/a", "gone");
    web.failure("http://h/gone", problem_kind::http_status);
    web.redirect("http://h/b", "http://");
    web.redirect("http://h/c", "mailto:x");
    const auto result = web.crawl(starting_at({"http://h/"}));
    EXPECT_EQ(message_of(result, "http://h/a"), "http_status: redirects to http://h/gone: failed");
    EXPECT_EQ(message_of(result, "http://h/b"), "redirect: redirects to a malformed URL: no host");
    EXPECT_EQ(message_of(result, "http://h/c"), "mailto: not checked: mailto");
}

TEST(SiteRedirects, OfAStartMakeTheirHostOneOfTheSite)
{
    fake_web web;
    web.redirect("http://h/", "https://h/");
    web.redirect("https://h/", "https://www.h/");
    web.page("https://www.h/", {"a"});
    web.page("https://www.h/a", {"b"});
    const auto result = web.crawl(starting_at({"http://h/"}));
    EXPECT_EQ(result.links, 3U);
    EXPECT_EQ(result.pages, 2U);
    EXPECT_EQ(result.fine.size(), 3U);
}

TEST(SiteRedirects, OfAStartReachWhatSeemedExternalBefore)
{
    for (const bool newest_first : {false, true}) {
        for (const bool external : {false, true}) {
            fake_web web;
            web.page("http://h/", {"//www.i/a"});
            web.redirect("http://i/", "//www.i/");
            web.page("http://www.i/", {});
            web.page("http://www.i/a", {"b"});
            const auto result =
                web.crawl(starting_at({"http://h/", "http://i/"}, {.check_external = external}), newest_first);
            expect_complete(result);
            EXPECT_EQ(result.links, 4U);
            EXPECT_EQ(result.fine.size(), 4U);
        }
    }
}

TEST(SiteRefusals, InARowMakeItGiveTheHostUp)
{
    fake_web web;
    strings links;
    for (int i = 0; i < 20; ++i) {
        links.push_back("//down/" + std::to_string(i));
        web.failure("http://down/" + std::to_string(i), problem_kind::connect);
    }
    web.page("http://h/", links);
    site all = starting_at({"http://h/"}, {.max_refusals = 3});
    EXPECT_FALSE(all.is_given_up("down:80"));
    std::size_t asked = 0;
    while (auto next = all.take_next()) { // one at a time
        ++asked;
        all.complete(*next, web.answer_to(*next));
    }
    EXPECT_EQ(asked, 1 + 3U);
    EXPECT_TRUE(all.is_given_up("down:80"));
    const auto result = all.result();
    expect_complete(result);
    EXPECT_EQ(result.broken.size(), 3U);
    EXPECT_EQ(result.unchecked.size(), 17U);
    EXPECT_EQ(result.unchecked[0].kind, "host");
}

TEST(SiteRefusals, AreForgottenWhenTheHostAnswers)
{
    fake_web web;
    web.page("http://h/", {"//other/1", "//other/2", "//other/3", "//other/4", "//other/5"});
    for (const auto* const bad : {"1", "2", "4", "5"}) {
        web.failure(std::string("http://other/") + bad, problem_kind::tls);
    }
    web.failure("http://other/3", problem_kind::http_status);
    const auto result = web.crawl(starting_at({"http://h/"}, {.max_refusals = 3}));
    EXPECT_EQ(result.broken.size(), 5U);
    EXPECT_TRUE(result.unchecked.empty());
}

TEST(SiteInterrupt, LosesNoLink)
{
    fake_web web;
    web.page("http://h/", {"a", "b", "c", "d#x", "mailto:x", "http://"});
    site all = starting_at({"http://h/"});
    const auto start = all.take_next();
    all.complete(*start, web.answer_to(*start));
    const auto under_way = all.take_next();
    const auto in_time = all.take_next();
    all.interrupt();
    EXPECT_FALSE(all.take_next());
    all.abandon(under_way->url);
    all.complete(*in_time, web.answer_to(*in_time));
    const auto result = all.result();
    expect_complete(result);
    EXPECT_TRUE(result.interrupted);
    EXPECT_EQ(result.links, 7U);
    EXPECT_EQ(result.unchecked.size(), 3U);
    EXPECT_EQ(message_of(result, "http://h/a"), "interrupted: interrupted");
    EXPECT_EQ(message_of(result, "http://h/b"), ": ");
    EXPECT_EQ(message_of(result, "http://h/d#x"), "interrupted: interrupted");
}

TEST(Site, AsksForNoMoreThanItMay)
{
    fake_web web;
    web.page("http://h/", {"1", "2", "3", "4"});
    const auto result = web.crawl(starting_at({"http://h/"}, {.max_urls = 3}));
    expect_complete(result);
    EXPECT_EQ(web.asked.size(), 3U);
    EXPECT_EQ(result.unchecked.size(), 2U);
    EXPECT_EQ(result.unchecked[0].kind, "limit");
}

TEST(Site, ReportsTheSameInWhateverOrderTheAnswersCome)
{
    fake_web web;
    strings links;
    for (int i = 0; i < 50; ++i) {
        links.push_back(std::to_string(i * 7919 % 50) + "#x");
        web.page("http://h/" + std::to_string(i), links, {i % 3 == 0 ? "x" : "y"});
    }
    web.page("http://h/", links);
    const auto first = web.crawl(starting_at({"http://h/"}), false);
    const auto second = web.crawl(starting_at({"http://h/"}), true);
    EXPECT_EQ(first.broken, second.broken);
    EXPECT_EQ(first.fine, second.fine);
}

} // namespace
} // namespace linkcheck
