// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "site.hpp"

#include "text.hpp"

#include <algorithm>
#include <utility>

namespace linkcheck {
namespace {

// Whether the fragment means a part of the page. A browser scrolls to `#top` in any case, and takes
// what follows `:~:` for a text to look for.
bool is_on_page(const std::vector<std::string>& anchors, std::string_view fragment)
{
    fragment = fragment.substr(0, fragment.find(":~:"));
    const auto has = [&](const std::string& name) { return std::binary_search(anchors.begin(), anchors.end(), name); };
    return fragment.empty() || has(std::string(fragment)) || has(percent_decoded(fragment)) ||
           lower_case(fragment) == "top";
}

// "a -> b -> a"
std::string chain_of(const std::vector<std::string>& urls)
{
    std::string text;
    for (const auto& each : urls) {
        text += (text.empty() ? "" : " -> ") + each;
    }
    return text;
}

} // namespace

site::site(site_rules rules)
    : rules_(rules)
{
}

void site::add_start(const link_url& start)
{
    add_host(host_of(start.url));
    add_link(0, {start, 0});
    resources_[start.url].is_start = true;
}

// What was external on the pages seen so far may be internal now.
void site::add_host(const std::string& host)
{
    if (!hosts_.insert(host).second) {
        return;
    }
    for (const auto& [text, known] : links_) {
        if (known.target.kind == link_kind::web && host_of(known.target.url) == host) {
            require(known.target, depth_for(known.target), 0);
        }
    }
}

void site::add_link(std::size_t page, const found_link& found)
{
    auto target = found.target;
    if (!rules_.check_fragments) {
        target.fragment.clear();
    }
    auto& known = links_[target.text()];
    known.target = target;
    known.spots.push_back({page, found.line});
    require(target, depth_for(target), 0);
}

depth site::depth_for(const link_url& target) const
{
    if (target.kind == link_kind::web && hosts_.contains(host_of(target.url))) {
        return depth::links;
    }
    return rules_.check_fragments && !target.fragment.empty() ? depth::anchors : depth::existence;
}

void site::require(const link_url& target, depth wanted, int redirects)
{
    if (target.kind != link_kind::web || redirects > rules_.max_redirects ||
        (wanted != depth::links && !rules_.check_external)) {
        return;
    }
    const auto [at, is_new] = resources_.try_emplace(target.url);
    auto& known = at->second;
    if (is_new) {
        known.wanted = wanted;
        known.redirects = redirects;
        ++progress_.known;
        queue(target.url, known);
        return;
    }
    const bool is_deeper = wanted > known.wanted;
    const bool is_nearer = redirects < known.redirects;
    known.wanted = std::max(wanted, known.wanted);
    known.redirects = std::min(redirects, known.redirects);
    if (known.now != state::answered || known.failure || !(is_deeper || is_nearer)) {
        return;
    }
    if (known.redirect) {
        follow(known);
    } else if (is_deeper) {
        --progress_.answered;
        queue(target.url, known);
    }
}

void site::queue(const std::string& url, resource& known)
{
    const auto host = host_of(url);
    if (interrupted_) {
        abandon(known, "interrupted", "interrupted");
    } else if (is_given_up(host)) {
        abandon(known, "host", host + " cannot be connected to");
    } else {
        known.now = state::waiting;
        waiting_.push_back(url);
    }
}

void site::follow(const resource& known)
{
    const auto& target = known.redirect.value();
    const bool leads_home = known.is_start && target.kind == link_kind::web;
    if (leads_home) {
        add_host(host_of(target.url));
    }
    // The link may have had a fragment, which goes with it.
    const auto by_link = rules_.check_fragments ? depth::anchors : depth::existence;
    require(target, std::max(depth_for(target), std::min(known.wanted, by_link)), known.redirects + 1);
    const auto at = resources_.find(target.url);
    if (leads_home && at != resources_.end() && !std::exchange(at->second.is_start, true) && at->second.redirect) {
        follow(at->second);
    }
}

std::optional<site::request> site::take_next()
{
    while (!waiting_.empty()) {
        const auto url = std::move(waiting_.front());
        waiting_.pop_front();
        auto& known = resources_.at(url);
        if (known.now != state::waiting) { // it was abandoned while it waited
            continue;
        }
        if (asked_ == rules_.max_urls) {
            abandon(known, "limit", "beyond the limit of URLs to ask for");
            continue;
        }
        ++asked_;
        known.now = state::asked;
        return request{url, known.wanted};
    }
    return std::nullopt;
}

void site::complete(const request& asked, const answer& found)
{
    auto& known = resources_.at(asked.url);
    known.now = state::answered;
    known.failure = found.failure;
    known.redirect = found.redirect;
    known.anchors = found.anchors;
    ++progress_.answered;
    progress_.failed += known.failure ? 1 : 0;
    count_refusal(asked.url, found);
    if (known.redirect) {
        follow(known);
    } else if (!known.failure && asked.wanted < known.wanted) {
        --progress_.answered;
        queue(asked.url, known);
    }
    if (found.is_searched) {
        pages_.push_back(asked.url);
        const auto page = pages_.size() - 1;
        for (const auto& each : found.links) {
            add_link(page, each);
        }
    }
}

void site::abandon(const std::string& url)
{
    const auto host = host_of(url);
    auto& known = resources_.at(url);
    if (is_given_up(host)) {
        abandon(known, "host", host + " cannot be connected to");
    } else {
        abandon(known, "interrupted", "interrupted");
    }
}

void site::abandon(resource& known, std::string kind, std::string message)
{
    known.now = state::abandoned;
    known.abandoned_kind = std::move(kind);
    known.abandoned_message = std::move(message);
}

void site::interrupt()
{
    interrupted_ = true;
    for (const auto& url : std::exchange(waiting_, {})) {
        if (auto& known = resources_.at(url); known.now == state::waiting) {
            abandon(known, "interrupted", "interrupted");
        }
    }
}

bool site::is_given_up(const std::string& host) const
{
    const auto found = refusals_.find(host);
    return found != refusals_.end() && found->second >= rules_.max_refusals;
}

void site::count_refusal(const std::string& url, const answer& found)
{
    const auto host = host_of(url);
    auto& refusals = refusals_[host];
    const bool refused =
        found.failure && (found.failure->kind == problem_kind::dns || found.failure->kind == problem_kind::connect ||
                          found.failure->kind == problem_kind::tls);
    if (is_given_up(host)) {
        return; // an answer that was under way does not take it back
    }
    refusals = refused ? refusals + 1 : 0;
    if (is_given_up(host)) {
        give_up(host);
    }
}

void site::give_up(const std::string& host)
{
    for (const auto& url : waiting_) {
        if (host_of(url) == host) {
            abandon(url);
        }
    }
}

site::progress site::so_far() const
{
    return progress_;
}

std::vector<place> site::places_of(const link& known) const
{
    std::map<std::string_view, std::set<int>> lines;
    for (const auto& each : known.spots) {
        auto& of_page = lines[pages_[each.page]];
        if (each.page != 0) {
            of_page.insert(each.line);
        }
    }
    std::vector<place> places;
    places.reserve(lines.size());
    for (const auto& [page, of_page] : lines) {
        places.push_back({std::string(page), {of_page.begin(), of_page.end()}});
    }
    return places;
}

report site::result() const
{
    report all;
    all.links = links_.size();
    all.pages = pages_.size() - 1;
    all.interrupted = interrupted_;
    for (const auto& [text, known] : links_) {
        auto found = judge(known.target);
        auto& list = all.*found.list;
        list.push_back({text, std::move(found.kind), std::move(found.message), places_of(known)});
    }
    return all;
}

site::verdict site::judge(link_url target) const
{
    std::vector<std::string> chain;
    for (;;) {
        auto found = judge_unanswered(target);
        if (found && found->list == &report::broken && !chain.empty()) {
            return {&report::broken, std::string(name_of(problem_kind::redirect)), "redirects to a " + found->message};
        }
        if (found) {
            return *found;
        }
        const auto& known = resources_.at(target.url);
        if (!known.redirect) {
            found = judge_answer(target, known);
            if (found->list == &report::broken && !chain.empty()) {
                found->message = "redirects to " + target.text() + ": " + found->message;
            }
            return *found;
        }
        const bool is_loop = std::find(chain.begin(), chain.end(), target.url) != chain.end();
        chain.push_back(target.url);
        if (is_loop) {
            return {&report::broken, std::string(name_of(problem_kind::redirect)), "redirect loop: " + chain_of(chain)};
        }
        if (chain.size() > static_cast<std::size_t>(rules_.max_redirects)) {
            return {&report::broken, std::string(name_of(problem_kind::redirect)),
                    "more than " + std::to_string(rules_.max_redirects) + " redirects"};
        }
        auto next = *known.redirect;
        if (next.fragment.empty()) { // as a browser does
            next.fragment = target.fragment;
        }
        target = std::move(next);
    }
}

// The verdict on a link of which nothing more can be known.
std::optional<site::verdict> site::judge_unanswered(const link_url& target) const
{
    if (target.kind == link_kind::malformed) {
        return verdict{&report::broken, std::string(name_of(problem_kind::malformed)),
                       "malformed URL: " + target.problem};
    }
    if (target.kind == link_kind::skipped) {
        return verdict{&report::skipped, target.problem, "not checked: " + target.problem};
    }
    const auto at = resources_.find(target.url);
    if (at == resources_.end()) {
        return verdict{&report::skipped, "external", "on another host"};
    }
    if (at->second.now == state::abandoned) {
        return verdict{&report::unchecked, at->second.abandoned_kind, at->second.abandoned_message};
    }
    if (at->second.now != state::answered) {
        return verdict{&report::unchecked, "waiting", "still to be asked for"};
    }
    return std::nullopt;
}

site::verdict site::judge_answer(const link_url& target, const resource& known) const
{
    if (known.failure) {
        return {&report::broken, std::string(name_of(known.failure->kind)), known.failure->message};
    }
    if (rules_.check_fragments && known.anchors && !is_on_page(*known.anchors, target.fragment)) {
        return {&report::broken, std::string(name_of(problem_kind::fragment)),
                "no element with the id '" + percent_decoded(target.fragment) + "'"};
    }
    return {&report::fine, "", ""};
}

} // namespace linkcheck
