// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace linkcheck {
namespace {

constexpr auto interval = std::chrono::milliseconds(100);

bool is_capable_terminal()
{
    const auto* const type = std::getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && type != nullptr && std::string_view(type) != "dumb";
}

std::size_t terminal_width()
{
    winsize size{};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

void write(const std::string& text)
{
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

} // namespace

std::string progress_line(const site::progress& now, std::size_t width)
{
    const auto text = ' ' + std::to_string(now.answered) + " of " + std::to_string(now.known) + " URLs checked, " +
                      std::to_string(now.failed) + " failed";
    if (width < text.size() + 12) {
        return text.substr(1, width);
    }
    const auto room = std::min<std::size_t>(width - text.size() - 2, 40);
    const auto done = now.known == 0 ? 0 : room * now.answered / now.known;
    return '[' + std::string(done, '#') + std::string(room - done, '.') + ']' + text;
}

progress_bar::progress_bar(bool wanted)
    : active_(wanted && is_capable_terminal())
{
}

progress_bar::~progress_bar()
{
    clear();
}

void progress_bar::show(const site::progress& now)
{
    const auto time = std::chrono::steady_clock::now();
    if (!active_ || time < next_) {
        return;
    }
    next_ = time + interval;
    shown_ = true;
    // One column stays free: some terminals break the line when the last one is written.
    write("\r\x1b[K" + progress_line(now, terminal_width() - 1));
}

void progress_bar::clear()
{
    if (shown_) {
        write("\r\x1b[K");
        shown_ = false;
    }
}

} // namespace linkcheck
