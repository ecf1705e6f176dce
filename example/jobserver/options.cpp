// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "options.hpp"

#include <CLI/CLI.hpp>

#include <sstream>

namespace jobserver {
namespace {

void add_time(CLI::App& app, const std::string& name, std::chrono::milliseconds& time, const std::string& what)
{
    app.add_option_function<unsigned>(
           name, [&time](unsigned value) { time = std::chrono::milliseconds(value); }, what)
        ->check(CLI::Range(0U, 3'600'000U))
        ->default_str(std::to_string(time.count()));
}

} // namespace

options parse_options(int argc, const char* const* argv)
{
    options chosen;
    const CLI::Range count(std::size_t{1}, std::size_t{1'000'000});
    CLI::App app("Runs jobs that are started, looked at and stopped over HTTP.", "jobserver");
    app.add_option("--address", chosen.address, "where to listen")->capture_default_str();
    app.add_option("--port", chosen.port, "where to listen; 0 is any that is free")->capture_default_str();
    app.add_option("--threads", chosen.threads, "for jobs and connections")
        ->check(CLI::Range(1U, 256U))
        ->capture_default_str();
    app.add_option("--running", chosen.running, "jobs at once")->check(count)->capture_default_str();
    app.add_option("--waiting", chosen.waiting, "jobs that may wait; then clients are told to come back")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1'000'000}))
        ->capture_default_str();
    app.add_option("--results", chosen.results, "outcomes to keep")->check(count)->capture_default_str();
    app.add_option("--connections", chosen.connections, "at once")->check(count)->capture_default_str();
    add_time(app, "--timeout", chosen.timeout, "milliseconds for a request to come and for an answer to go");
    add_time(app, "--grace", chosen.grace, "milliseconds that jobs get at the end before they are aborted");
    add_time(app, "--patience", chosen.patience, "milliseconds that aborted jobs get before they are left");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        const bool is_help = error.get_exit_code() == 0;
        static_cast<void>(app.exit(error, out, out));
        throw early_exit(is_help ? 0 : 2, is_help ? out.str() : error.what());
    }
    return chosen;
}

} // namespace jobserver
