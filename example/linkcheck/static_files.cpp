// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "static_files.hpp"

#include "text.hpp"
#include "url.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

namespace linkcheck {
namespace {

namespace fs = std::filesystem;

std::string content_type_of(const fs::path& file)
{
    // No charset: the page tells its own.
    static constexpr auto types = std::to_array<std::pair<std::string_view, const char*>>({
        {".html", "text/html"},
        {".htm", "text/html"},
        {".xhtml", "application/xhtml+xml"},
        {".css", "text/css"},
        {".js", "text/javascript"},
        {".json", "application/json"},
        {".png", "image/png"},
        {".gif", "image/gif"},
        {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},
        {".svg", "image/svg+xml"},
        {".ico", "image/x-icon"},
        {".pdf", "application/pdf"},
        {".txt", "text/plain"},
        {".xml", "application/xml"},
        {".gz", "application/gzip"},
    });
    const auto extension = lower_case(file.extension().string());
    const auto found =
        std::find_if(types.begin(), types.end(), [&](const auto& each) { return each.first == extension; });
    return found == types.end() ? "application/octet-stream" : found->second;
}

static_answer plain(unsigned status, std::string text)
{
    return {status, "text/plain", "", {}, std::move(text)};
}

// The file that the path names, unless it is a way out of the directory.
std::optional<fs::path> below(const fs::path& root, std::string_view path)
{
    auto named = root;
    while (!path.empty()) {
        const auto end = std::min(path.find('/'), path.size());
        const auto segment = path.substr(0, end);
        if (segment == ".." || segment.find('\0') != std::string_view::npos) {
            return std::nullopt;
        }
        if (!segment.empty() && segment != ".") {
            named /= segment;
        }
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return named;
}

static_answer list_of(const fs::path& directory)
{
    std::set<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        std::error_code ignored;
        const auto slash = at->is_directory(ignored) ? "/" : "";
        names.insert("./" + boost::urls::encode(at->path().filename().string(), boost::urls::unreserved_chars) + slash);
    }
    if (error) {
        return plain(403, "cannot be read\n");
    }
    std::string text = "<!DOCTYPE html>\n<title>Directory</title>\n";
    for (const auto& name : names) {
        text.append("<a href=\"").append(name).append("\">").append(name).append("</a><br>\n");
    }
    return {200, "text/html", "", {}, std::move(text)};
}

} // namespace

static_answer find_static(const fs::path& root, std::string_view target)
{
    const auto path = target.substr(0, target.find_first_of("?#"));
    const auto decoded = percent_decoded(path);
    const auto file = path.starts_with('/') ? below(root, decoded) : std::nullopt;
    if (!file) {
        return plain(400, "not a path\n");
    }
    std::error_code error;
    const auto status = fs::status(*file, error);
    if (fs::is_directory(status) && !decoded.ends_with('/')) {
        return {301, "text/plain", std::string(path) + '/', {}, "moved\n"};
    }
    if (fs::is_directory(status)) {
        const auto index = *file / "index.html";
        return fs::is_regular_file(index, error) ? static_answer{200, "text/html", "", index, ""} : list_of(*file);
    }
    if (!fs::is_regular_file(status) || decoded.ends_with('/')) {
        return plain(404, "not found\n");
    }
    return {200, content_type_of(*file), "", *file, ""};
}

} // namespace linkcheck
