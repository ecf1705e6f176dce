// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "sight.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace indexer {
namespace {

constexpr std::size_t longest_word = 64; // what is longer is data rather than language

class open_file {
public:
    explicit open_file(int descriptor) noexcept
        : descriptor_(descriptor)
    {
    }

    ~open_file()
    {
        if (descriptor_ >= 0)
            ::close(descriptor_);
    }

    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;

    int get() const noexcept
    {
        return descriptor_;
    }

private:
    int descriptor_;
};

bool is_of_word(char c) noexcept
{
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 0x80;
}

[[noreturn]] void fail(const char* what)
{
    throw std::system_error(errno, std::generic_category(), what);
}

// The clock of a file system ticks rarely: what was changed a moment ago may change once more without a new time. Such a
// stamp is not to be trusted, so it is one that no file has.
file_stamp stamp_of(const struct stat& seen)
{
    using namespace std::chrono;
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t modified = seen.st_mtim.tv_sec * second + seen.st_mtim.tv_nsec;
    const auto now = duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count();
    return {seen.st_size, modified > now - second ? -1 : modified};
}

std::vector<directory_entry> entries_of(int directory, const std::stop_token& stop)
{
    const int copy = ::fcntl(directory, F_DUPFD_CLOEXEC, 0); // which closedir closes
    if (copy < 0)
        fail("fcntl");
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(copy), ::closedir);
    if (!listing) {
        ::close(copy);
        fail("fdopendir");
    }
    std::vector<directory_entry> entries;
    while (const dirent* const each = ::readdir(listing.get())) {
        if (stop.stop_requested())
            throw stopped();
        const std::string name = each->d_name;
        struct stat seen{};
        if (name == "." || name == ".." || ::fstatat(directory, name.c_str(), &seen, AT_SYMLINK_NOFOLLOW) != 0)
            continue; // gone again, in the last case
        if (S_ISDIR(seen.st_mode))
            entries.push_back({name, true, {}});
        else if (S_ISREG(seen.st_mode))
            entries.push_back({name, false, stamp_of(seen)});
    }
    return entries;
}

// The words of a file; none if it is binary, or grows beyond its limit while it is read.
word_counts words_of(int file, std::uint64_t max_size, const std::stop_token& stop)
{
    word_counts words;
    std::string text;
    std::uint64_t total = 0;
    std::array<char, 32 * 1024> block{};
    for (;;) {
        if (stop.stop_requested())
            throw stopped();
        const ssize_t size = ::read(file, block.data(), block.size());
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            fail("read");
        const std::string_view some(block.data(), static_cast<std::size_t>(size));
        total += some.size();
        if (total > max_size || some.find('\0') != some.npos)
            return {};
        text += some;
        if (some.empty())
            break;
        // A word that the block cuts waits for its end, unless it is none.
        std::size_t end = text.size();
        while (end != 0 && text.size() - end <= longest_word && is_of_word(text[end - 1]))
            --end;
        count_words(std::string_view(text).substr(0, end), words);
        text.erase(0, end);
    }
    count_words(text, words);
    return words;
}

} // namespace

std::string normalised(std::string_view word)
{
    std::string lower(word);
    for (char& each : lower) {
        if (each >= 'A' && each <= 'Z')
            each = static_cast<char>(each - 'A' + 'a');
    }
    return lower;
}

void count_words(std::string_view text, word_counts& counts)
{
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at;
        while (end < text.size() && is_of_word(text[end]))
            ++end;
        if (end != at && end - at <= longest_word)
            ++counts[normalised(text.substr(at, end - at))];
        at = end + 1;
    }
}

sight look_at(const std::string& path, std::uint64_t max_size, const std::stop_token& stop)
{
    // Not to wait for the other end of a pipe.
    const open_file file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (file.get() < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENXIO))
        return {};
    struct stat seen{};
    if (file.get() < 0 || ::fstat(file.get(), &seen) != 0)
        fail("open");
    sight found;
    if (S_ISDIR(seen.st_mode)) {
        found.what = sight::kind::directory;
        found.entries = entries_of(file.get(), stop);
    } else if (S_ISREG(seen.st_mode)) {
        found.what = sight::kind::file;
        found.stamp = stamp_of(seen);
        if (static_cast<std::uint64_t>(seen.st_size) <= max_size)
            found.words = words_of(file.get(), max_size, stop);
    }
    return found;
}

} // namespace indexer
