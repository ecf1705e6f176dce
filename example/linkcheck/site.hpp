// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "problem.hpp"
#include "report.hpp"
#include "url.hpp"

#include <compare>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linkcheck {

/// How much has to be known of what a URL names; each includes the ones before it.
enum class depth {
    existence, ///< that it is there
    anchors,   ///< which fragments it has
    links,     ///< where it leads
};

/// A link on a page, as it was understood.
struct found_link {
    link_url target;
    int line = 0;
};

/// The answer to one request: nothing of it, or a redirect, or what there is.
struct answer {
    std::optional<problem> failure;
    std::optional<link_url> redirect;
    /// What a fragment can mean on it, sorted; set if it is a page that was read for that.
    std::optional<std::vector<std::string>> anchors;
    /// Whether it was searched for links, and these.
    bool is_searched = false;
    std::vector<found_link> links;
};

struct site_rules {
    bool check_external = true;
    bool check_fragments = true;
    int max_redirects = 10;
    std::size_t max_urls = 100'000;
    /// Connections in a row that a host may fail to accept before it is given up.
    int max_refusals = 5;
};

/// All that is known of the links: which there are, where they stand, and what they lead to.
/**
 * Knows nothing of requests and threads. The crawl takes what is to be asked for (`take_next`), and
 * says for each what came of it, exactly once: `complete`, or `abandon` if there was no answer. A
 * link is never lost: `result` counts each as fine, broken, skipped or unchecked, at any time.
 *
 * A redirect is an edge from one URL to another, not part of a request. So no URL is asked for
 * twice, and whether redirects run in circles is seen when the links are judged.
 */
class site {
public:
    explicit site(site_rules rules);

    /// Adds a page to start from; its host is one of those whose pages are searched for links.
    void add_start(const link_url& start);

    struct request {
        std::string url;
        depth wanted = depth::existence;
    };

    /// The next URL to ask for, if one is waiting.
    std::optional<request> take_next();

    void complete(const request& asked, const answer& found);
    void abandon(const std::string& url);

    /// Nothing more shall be asked for: what has no answer yet remains unchecked.
    void interrupt();

    bool is_given_up(const std::string& host) const;

    struct progress {
        std::size_t known = 0;    ///< URLs, among them those still to be asked for
        std::size_t answered = 0; ///< URLs, with whatever answer
        std::size_t failed = 0;   ///< URLs
    };
    progress so_far() const;

    report result() const;

private:
    enum class state { waiting, asked, answered, abandoned };

    // A URL that has been or is to be asked for.
    struct resource {
        state now = state::waiting;
        depth wanted = depth::existence;
        // The fewest redirects that lead here from a link; past the limit nobody follows.
        int redirects = 0;
        // Who starts at http://example.org means https://www.example.org too, if it leads there.
        bool is_start = false;
        std::string abandoned_kind;
        std::string abandoned_message;
        std::optional<problem> failure;
        std::optional<link_url> redirect;
        std::optional<std::vector<std::string>> anchors;
    };

    // Where a link stands: one of `pages_`, and the line.
    struct spot {
        std::size_t page = 0;
        int line = 0;

        friend auto operator<=>(const spot&, const spot&) = default;
    };

    struct link {
        link_url target;
        std::vector<spot> spots;
    };

    void add_host(const std::string& host);
    void add_link(std::size_t page, const found_link& found);
    depth depth_for(const link_url& target) const;
    void require(const link_url& target, depth wanted, int redirects);
    void queue(const std::string& url, resource& known);
    void follow(const resource& known);
    void count_refusal(const std::string& url, const answer& found);
    void give_up(const std::string& host);
    void abandon(resource& known, std::string kind, std::string message);
    std::vector<place> places_of(const link& known) const;

    // A verdict is the finding with the list of the report to which it belongs.
    struct verdict {
        std::vector<finding> report::* list;
        std::string kind;
        std::string message;
    };
    verdict judge(link_url target) const;
    std::optional<verdict> judge_unanswered(const link_url& target) const;
    verdict judge_answer(const link_url& target, const resource& known) const;

    site_rules rules_;
    std::set<std::string> hosts_;
    // By what a reader would take for the same link; ordered, because the report is.
    std::map<std::string, link> links_;
    std::unordered_map<std::string, resource> resources_;
    std::deque<std::string> waiting_;
    // The pages that were searched for links; the first stands for the user.
    std::vector<std::string> pages_{""};
    std::unordered_map<std::string, int> refusals_;
    std::size_t asked_ = 0;
    progress progress_;
    bool interrupted_ = false;
};

} // namespace linkcheck
