// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "options.hpp"

#include <CLI/CLI.hpp>

#include <map>

namespace linkcheck {
namespace {

void add_scope(CLI::App& app, options& chosen)
{
    app.add_option("URL", chosen.starts, "pages to start from; with --serve their paths in the directory");
    app.add_option("--serve", chosen.serve, "serve this directory on loopback, and check that")
        ->check(CLI::ExistingDirectory)
        ->type_name("DIR");
    app.add_flag("!--no-external", chosen.check_external, "skip links that lead to other hosts");
    app.add_flag("!--no-fragments", chosen.check_fragments, "do not look whether the part after # is on the page");
    app.add_option("--max-redirects", chosen.max_redirects, "redirects to follow from a link")
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    app.add_option("--max-urls", chosen.max_urls, "URLs to ask for in all")
        ->check(CLI::Range(1, 100'000'000))
        ->capture_default_str();
}

void add_requests(CLI::App& app, options& chosen)
{
    app.add_option("-j,--jobs", chosen.jobs, "requests at once")->check(CLI::Range(1, 256))->capture_default_str();
    app.add_option("--timeout", chosen.timeout, "seconds that a request may take")
        ->check(CLI::Range(0.001, 86'400.0))
        ->capture_default_str();
    app.add_option("--retries", chosen.retries, "times to try again after a failure that may pass")
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    app.add_option("--max-refusals", chosen.max_refusals, "failures to connect in a row before a host is given up")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    app.add_option("--max-body", chosen.max_body, "size of the largest page to read, as in 10M")
        ->transform(CLI::AsSizeValue(false))
        ->default_str("10M");
    app.add_option("--ca-file", chosen.ca_file, "certificates to trust besides the system's")
        ->check(CLI::ExistingFile)
        ->type_name("FILE");
    app.add_option("--user-agent", chosen.user_agent, "how to introduce itself to servers")->capture_default_str();
}

void add_output(CLI::App& app, options& chosen)
{
    static const std::map<std::string, report_format> formats{{"text", report_format::text},
                                                              {"json", report_format::json}};
    app.add_option("--format", chosen.style.format, "text or json")
        ->transform(CLI::Transformer(formats))
        ->type_name("FORMAT")
        ->default_str("text");
    app.add_flag("-v,--verbose", chosen.style.verbose, "report also the links that are not broken");
    app.add_flag("!--no-progress", chosen.show_progress, "show no bar on the terminal");
}

} // namespace

options parse_options(int argc, const char* const* argv)
{
    options chosen;
    CLI::App app("Finds the broken links of a web site.", "linkcheck");
    app.footer("Exit status: 0 if no link is broken, 1 if some are broken or were not checked,\n"
               "2 if it was used wrongly.");
    add_scope(app, chosen);
    add_requests(app, chosen);
    add_output(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        throw early_exit(0, app.help());
    } catch (const CLI::ParseError& error) {
        throw early_exit(2, error.what());
    }
    if (chosen.starts.empty() && !chosen.serve) {
        throw early_exit(2, "no URL to start from");
    }
    return chosen;
}

} // namespace linkcheck
