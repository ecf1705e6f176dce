// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "report.hpp"

#include "text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <map>
#include <ostream>
#include <set>
#include <string_view>
#include <utility>

namespace linkcheck {
namespace {

namespace json = boost::json;

// Pages listed below a link unless everything was asked for: a broken link in a menu is on all.
constexpr std::size_t places_shown = 5;
constexpr std::size_t lines_shown = 10;

// A URL or a reason that is longer is cut. Few are.
constexpr std::size_t longest_text = 2'000;

// "1 link", "2 links"
std::string counted(std::size_t count, std::string_view noun)
{
    return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

// " line 1", " lines 1, 2"
std::string lines_of(const place& where, bool all)
{
    std::string text;
    std::size_t shown = 0;
    for (const int line : where.lines) {
        if (!all && shown == lines_shown) {
            return text + " and " + std::to_string(where.lines.size() - shown) + " more";
        }
        ++shown;
        text += text.empty() ? (where.lines.size() == 1 ? " line " : " lines ") : ", ";
        text += std::to_string(line);
    }
    return text;
}

void write_places(std::ostream& out, const std::vector<place>& places, bool all)
{
    std::size_t shown = 0;
    for (const auto& each : places) {
        if (!all && shown == places_shown) {
            out << "    and on " << counted(places.size() - shown, "other page") << '\n';
            return;
        }
        ++shown;
        if (each.page.empty()) {
            out << "    given as a page to start from\n";
        } else {
            out << "    on " << printable(each.page, longest_text) << lines_of(each, all) << '\n';
        }
    }
}

// The union of two sorted lists of places.
std::vector<place> merged(const std::vector<place>& some, const std::vector<place>& others)
{
    std::map<std::string, std::set<int>> lines;
    for (const auto* const list : {&some, &others}) {
        for (const auto& [page, of_page] : *list) {
            lines[page].insert(of_page.begin(), of_page.end());
        }
    }
    std::vector<place> places;
    places.reserve(lines.size());
    for (const auto& [page, of_page] : lines) {
        places.push_back({page, {of_page.begin(), of_page.end()}});
    }
    return places;
}

// One finding for a page that is linked to with many fragments, if it is not them that are wrong.
std::vector<finding> by_page(const std::vector<finding>& findings)
{
    struct group {
        finding first;
        std::size_t size = 0;
    };
    std::map<std::pair<std::string, std::string>, group> groups;
    for (const auto& each : findings) {
        const auto page = each.url.substr(0, each.url.find('#'));
        auto& [first, size] = groups[{page, each.message}];
        if (++size == 1) {
            first = each;
        } else {
            first.url = page;
            first.places = merged(first.places, each.places);
        }
    }
    std::vector<finding> pages;
    for (auto& [key, known] : groups) {
        if (known.size > 1) {
            known.first.message += " (for " + std::to_string(known.size) + " links to it that differ after the #)";
        }
        pages.push_back(std::move(known.first));
    }
    return pages;
}

void write_list(std::ostream& out, std::string_view title, const std::vector<finding>& findings, bool all)
{
    if (findings.empty()) {
        return;
    }
    out << title << ":\n";
    for (const auto& each : findings) {
        out << "  " << printable(each.url, longest_text);
        if (!each.message.empty()) {
            out << ": " << printable(each.message, longest_text);
        }
        out << '\n';
        write_places(out, each.places, all);
    }
    out << '\n';
}

// How many links were not checked for each reason.
void write_reasons(std::ostream& out, const std::vector<finding>& unchecked)
{
    if (unchecked.empty()) {
        return;
    }
    std::map<std::string, std::size_t> reasons;
    for (const auto& each : unchecked) {
        ++reasons[each.message];
    }
    out << "Not checked:\n";
    for (const auto& [reason, count] : reasons) {
        out << "  " << counted(count, "link") << ": " << printable(reason, longest_text) << '\n';
    }
    out << '\n';
}

// "12 skipped (10 external, 2 mailto)"
std::string summary_of(const std::vector<finding>& findings, std::string_view word)
{
    std::map<std::string, std::size_t> kinds;
    for (const auto& each : findings) {
        ++kinds[each.kind];
    }
    auto text = std::to_string(findings.size()) + ' ' + std::string(word);
    std::string separator = " (";
    for (const auto& [kind, count] : kinds) {
        text.append(separator).append(std::to_string(count)).append(" ").append(kind);
        separator = ", ";
    }
    return kinds.empty() ? text : text + ')';
}

void write_text(std::ostream& out, const report& result, bool verbose)
{
    if (verbose) {
        write_list(out, "Fine", result.fine, true);
        write_list(out, "Skipped", result.skipped, true);
        write_list(out, "Not checked", result.unchecked, true);
        write_list(out, "Broken", result.broken, true);
    } else {
        write_reasons(out, result.unchecked);
        write_list(out, "Broken", by_page(result.broken), false);
    }
    if (result.interrupted) {
        out << "Interrupted: this is what was found so far.\n";
    }
    out << counted(result.links, "link") << " on " << counted(result.pages, "page") << ": " << result.fine.size()
        << " fine, " << summary_of(result.broken, "broken") << ", " << summary_of(result.skipped, "skipped") << ", "
        << summary_of(result.unchecked, "not checked") << '\n';
}

json::array json_of(const std::vector<finding>& findings)
{
    json::array list;
    for (const auto& each : findings) {
        json::array places;
        for (const auto& where : each.places) {
            json::object entry;
            if (!where.page.empty()) {
                entry["page"] = printable(where.page, where.page.size());
                entry["lines"] = json::array(where.lines.begin(), where.lines.end());
            }
            places.push_back(std::move(entry));
        }
        json::object entry;
        entry["url"] = printable(each.url, 20'000);
        if (!each.kind.empty()) {
            entry["kind"] = each.kind;
            entry["message"] = printable(each.message, longest_text);
        }
        entry["places"] = std::move(places);
        list.push_back(std::move(entry));
    }
    return list;
}

void write_json(std::ostream& out, const report& result, bool verbose)
{
    json::object summary;
    summary["links"] = result.links;
    summary["pages"] = result.pages;
    summary["fine"] = result.fine.size();
    summary["broken"] = result.broken.size();
    summary["skipped"] = result.skipped.size();
    summary["unchecked"] = result.unchecked.size();
    summary["interrupted"] = result.interrupted;
    json::object all;
    all["summary"] = std::move(summary);
    all["broken"] = json_of(result.broken);
    all["unchecked"] = json_of(result.unchecked);
    if (verbose) {
        all["skipped"] = json_of(result.skipped);
        all["fine"] = json_of(result.fine);
    }
    out << json::serialize(all) << '\n';
}

} // namespace

void write(std::ostream& out, const report& result, report_style style)
{
    if (style.format == report_format::json) {
        write_json(out, result, style.verbose);
    } else {
        write_text(out, result, style.verbose);
    }
}

int exit_status(const report& result)
{
    return result.broken.empty() && result.unchecked.empty() ? 0 : 1;
}

} // namespace linkcheck
