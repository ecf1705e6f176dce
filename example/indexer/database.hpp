// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "sight.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;

namespace indexer {

/// The index: which words stand in which files, in SQLite.
/**
 * Every member that changes it does so in one transaction: whatever happens, a file is in the index as it was, or as it
 * is. One caller at a time; all of them block. Others may read the database meanwhile. Members throw `std::runtime_error`.
 */
class database {
public:
    enum class access { read, write };

    /// Opens it, and makes it if it is to be written and is not there.
    database(const std::string& file, access wanted);
    ~database();

    database(const database&) = delete;
    database& operator=(const database&) = delete;

    /// Puts a file in the place of what is known of its path, and of all below.
    void store(const std::string& path, const sight& file);

    /// Forgets a path, and all below. Whether there was any of that.
    bool remove(const std::string& path);

    /// The names in a directory for which the index and what was seen differ; directories are always among them.
    std::vector<std::string> differences(const std::string& directory, const std::vector<directory_entry>& entries);

    /// The paths of the files with a word, those first in which it stands most often.
    std::vector<std::string> search(std::string_view word);

private:
    struct closer {
        void operator()(sqlite3* connection) const noexcept;
    };

    void execute(const char* sql);
    void prepare_for_writing(const std::string& file);

    std::unique_ptr<sqlite3, closer> connection_;
};

} // namespace indexer
