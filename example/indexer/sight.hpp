// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace indexer {

/// By what a file is known to be unchanged: its size, and its time of modification in nanoseconds.
struct file_stamp {
    std::int64_t size = 0;
    std::int64_t modified = 0;

    friend bool operator==(const file_stamp&, const file_stamp&) = default;
};

using word_counts = std::map<std::string, std::int64_t, std::less<>>;

/// What stands in a directory.
struct directory_entry {
    std::string name;
    bool is_directory = false;
    file_stamp stamp; ///< of a file
};

/// What was seen at a path.
struct sight {
    enum class kind { nothing, file, directory };

    kind what = kind::nothing;            ///< what is neither a file nor a directory counts as nothing
    file_stamp stamp;                     ///< of a file
    word_counts words;                    ///< of a text file that is not too large
    std::vector<directory_entry> entries; ///< of a directory
};

/// Thrown out of a function that was asked to stop.
struct stopped : std::runtime_error {
    stopped()
        : std::runtime_error("stopped")
    {
    }
};

/// The words of a text, in lower case. A word is made of ASCII letters, digits and all that is not ASCII.
void count_words(std::string_view text, word_counts& counts);

/// How a word stands in the index.
std::string normalised(std::string_view word);

/// Looks at a path, and reads what is there. Symbolic links are not followed.
/** @throws std::system_error, stopped */
sight look_at(const std::string& path, std::uint64_t max_size, const std::stop_token& stop);

} // namespace indexer
