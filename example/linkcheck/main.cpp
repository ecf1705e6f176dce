// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
// linkcheck: finds the broken links of a web site.

#include "crawl.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "server.hpp"
#include "site.hpp"
#include "text.hpp"
#include "url.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <joinery/join_set.hpp>
#include <joinery/runtime.hpp>
#include <joinery/task.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace linkcheck {
namespace {

// More threads than there are requests would have nothing to do.
unsigned workers_for(const options& chosen)
{
    const auto cores = std::max(1U, std::thread::hardware_concurrency());
    return std::min(cores, static_cast<unsigned>(chosen.jobs));
}

std::shared_ptr<fetch_settings> settings_of(const options& chosen)
{
    auto settings = std::make_shared<fetch_settings>();
    settings->timeout = std::chrono::milliseconds(static_cast<long>(chosen.timeout * 1000));
    settings->max_body = chosen.max_body;
    settings->user_agent = chosen.user_agent;
    settings->tls.set_default_verify_paths();
    settings->tls.set_verify_mode(boost::asio::ssl::verify_peer);
    if (chosen.ca_file) {
        try {
            settings->tls.load_verify_file(chosen.ca_file->string());
        } catch (const boost::system::system_error&) {
            throw early_exit(2, "no certificates in " + chosen.ca_file->string());
        }
    }
    return settings;
}

site_rules rules_of(const options& chosen)
{
    return {chosen.check_external, chosen.check_fragments, chosen.max_redirects, chosen.max_urls, chosen.max_refusals};
}

// Adds the pages to start from; what is not absolute is understood relative to the base.
void add_starts(site& links, const options& chosen, const std::string& base)
{
    auto starts = chosen.starts;
    if (starts.empty()) {
        starts.emplace_back();
    }
    for (const auto& text : starts) {
        const auto start = resolve(base, text);
        if (start.kind != link_kind::web) {
            throw early_exit(2, "cannot start from '" + printable(text) +
                                    "': " + (start.kind == link_kind::skipped ? "not HTTP or HTTPS" : start.problem));
        }
        links.add_start(start);
    }
}

joinery::task<report> check_site(joinery::runtime& workers, const options& chosen,
                                 std::shared_ptr<fetch_settings> settings)
{
    site links(rules_of(chosen));
    progress_bar bar(chosen.show_progress);
    const auto here = co_await boost::asio::this_coro::executor;
    joinery::join_set<void> servers(here);
    std::string base;
    if (chosen.serve) {
        static_server server(here, *chosen.serve);
        base = server.url();
        servers.spawn(static_server::run(std::move(server)));
    }
    add_starts(links, chosen, base);
    co_await crawl(workers, links, {chosen.jobs, chosen.retries}, std::move(settings), bar);
    co_return links.result();
}

int run(int argc, const char* const* argv)
{
    const auto chosen = parse_options(argc, argv);
    auto settings = settings_of(chosen);
    joinery::runtime workers(workers_for(chosen));
    const auto result = workers.block_on(check_site(workers, chosen, std::move(settings)));
    write(std::cout, result, chosen.style);
    if (!std::cout.flush()) {
        throw early_exit(2, "cannot write the report");
    }
    return exit_status(result);
}

} // namespace
} // namespace linkcheck

int main(int argc, char** argv)
{
    try {
        return linkcheck::run(argc, argv);
    } catch (const linkcheck::early_exit& exit) {
        if (exit.status == 0) {
            std::cout << exit.what();
        } else {
            std::cerr << "linkcheck: " << exit.what() << "\nTry 'linkcheck --help'.\n";
        }
        return exit.status;
    } catch (const std::exception& error) {
        std::cerr << "linkcheck: " << error.what() << '\n';
        return 2;
    }
}
