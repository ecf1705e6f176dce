// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "options.hpp"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <sstream>
#include <system_error>
#include <vector>

namespace indexer {
namespace {

namespace fs = std::filesystem;

std::string directory_from(const std::string& text)
{
    std::error_code error;
    fs::path path = fs::canonical(text, error);
    if (error || !fs::is_directory(path, error))
        throw early_exit(2, "no such directory: " + text);
    if (path == path.root_path())
        throw early_exit(2, "not for a whole file system, which has files that are none");
    return path.string();
}

// Events bear absolute paths, and those of the database have to be told from the others.
std::string database_from(const std::string& text)
{
    std::error_code error;
    fs::path path = fs::weakly_canonical(fs::absolute(text), error);
    if (error)
        throw early_exit(2, text + ": " + error.message());
    return path.string();
}

} // namespace

options parse_options(int argc, const char* const* argv)
{
    options chosen;
    std::vector<std::string> paths;
    auto delay = chosen.delay.count();
    auto grace = chosen.grace.count();
    CLI::App app("Keeps an index of the words in the text files of a directory up to date, and searches it.\n\n"
                 "  indexer DIRECTORY DATABASE\n"
                 "  indexer --search WORD DATABASE\n",
                 "indexer");
    app.add_option("--search", chosen.word, "print the paths of the files with this word, the most frequent first");
    app.add_option("--delay", delay, "milliseconds for which a file must have been left alone")
        ->check(CLI::Range(0, 3'600'000))
        ->capture_default_str();
    app.add_option("--grace", grace, "milliseconds that files under way get at the end")
        ->check(CLI::Range(0, 3'600'000))
        ->capture_default_str();
    app.add_option("--max-size", chosen.max_size, "bytes beyond which a file is left out")->capture_default_str();
    app.add_option("--jobs", chosen.jobs, "files that are indexed at once")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.add_flag("-v,--verbose", chosen.is_verbose, "say what is indexed and what is removed");
    app.add_option("paths", paths, "DIRECTORY DATABASE, or DATABASE alone for a search");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        std::ostringstream out;
        const bool is_help = error.get_exit_code() == 0;
        static_cast<void>(app.exit(error, out, out));
        throw early_exit(is_help ? 0 : 2, is_help ? out.str() : error.what());
    }

    chosen.delay = std::chrono::milliseconds(delay);
    chosen.grace = std::chrono::milliseconds(grace);
    if (paths.size() != (chosen.word ? 1U : 2U))
        throw early_exit(2, chosen.word ? "a search takes one DATABASE" : "DIRECTORY and DATABASE are needed");
    chosen.database = database_from(paths.back());
    if (!chosen.word)
        chosen.directory = directory_from(paths.front());
    return chosen;
}

} // namespace indexer
