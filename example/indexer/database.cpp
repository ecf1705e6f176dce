// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "database.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>

namespace indexer {
namespace {

constexpr int version = 1;

[[noreturn]] void fail(sqlite3* connection)
{
    throw std::runtime_error(std::string("database: ") + sqlite3_errmsg(connection));
}

// One statement, from its text to its last row.
class statement {
public:
    statement(sqlite3* connection, std::string_view sql)
        : connection_(connection)
    {
        if (sqlite3_prepare_v2(connection, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr) != SQLITE_OK)
            fail(connection);
    }

    ~statement()
    {
        sqlite3_finalize(statement_);
    }

    statement(const statement&) = delete;
    statement& operator=(const statement&) = delete;

    // The text must live until the next step or bind.
    statement& bind(int at, std::string_view text)
    {
        return check(sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC));
    }

    statement& bind(int at, std::int64_t number)
    {
        return check(sqlite3_bind_int64(statement_, at, number));
    }

    // Whether there is another row.
    bool step()
    {
        const int result = sqlite3_step(statement_);
        if (result != SQLITE_ROW && result != SQLITE_DONE)
            fail(connection_);
        return result == SQLITE_ROW;
    }

    void run()
    {
        step();
        check(sqlite3_reset(statement_));
    }

    std::string text(int column)
    {
        const void* const start = sqlite3_column_blob(statement_, column);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
        return start ? std::string(static_cast<const char*>(start), size) : std::string();
    }

    std::int64_t number(int column)
    {
        return sqlite3_column_int64(statement_, column);
    }

private:
    statement& check(int result)
    {
        if (result != SQLITE_OK)
            fail(connection_);
        return *this;
    }

    sqlite3* connection_;
    sqlite3_stmt* statement_ = nullptr;
};

// All or nothing: without a commit, it is undone.
class transaction {
public:
    explicit transaction(sqlite3* connection)
        : connection_(connection)
    {
        statement(connection_, "BEGIN IMMEDIATE").run();
    }

    ~transaction()
    {
        if (!is_over_)
            sqlite3_exec(connection_, "ROLLBACK", nullptr, nullptr, nullptr);
    }

    transaction(const transaction&) = delete;
    transaction& operator=(const transaction&) = delete;

    void commit()
    {
        statement(connection_, "COMMIT").run();
        is_over_ = true;
    }

private:
    sqlite3* connection_;
    bool is_over_ = false;
};

bool erase(sqlite3* connection, const std::string& path)
{
    const std::string first = path + '/';
    const std::string beyond = path + static_cast<char>('/' + 1);
    statement(connection, "DELETE FROM files WHERE path = ? OR (path >= ? AND path < ?)")
        .bind(1, path)
        .bind(2, first)
        .bind(3, beyond)
        .run();
    return sqlite3_changes(connection) != 0;
}

} // namespace

void database::closer::operator()(sqlite3* connection) const noexcept
{
    sqlite3_close(connection);
}

database::database(const std::string& file, access wanted)
{
    const int flags = wanted == access::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    sqlite3* connection = nullptr;
    const int result = sqlite3_open_v2(file.c_str(), &connection, flags, nullptr);
    connection_.reset(connection); // there is one after most errors, too
    if (result != SQLITE_OK)
        throw std::runtime_error(file + ": " + sqlite3_errstr(result));
    sqlite3_busy_timeout(connection, 10'000);
    if (wanted == access::write)
        prepare_for_writing(file);
}

database::~database() = default;

void database::prepare_for_writing(const std::string& file)
{
    execute("PRAGMA journal_mode = WAL"); // searches and changes do not wait for one another
    execute("PRAGMA synchronous = NORMAL");
    execute("PRAGMA foreign_keys = ON");
    transaction all(connection_.get());
    const std::int64_t found = [this] {
        statement asked(connection_.get(), "PRAGMA user_version");
        asked.step();
        return asked.number(0);
    }();
    if (found != 0 && found != version)
        throw std::runtime_error(file + ": of another version");
    if (found == 0) {
        execute("CREATE TABLE files(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER, modified INTEGER);"
                "CREATE TABLE words(word TEXT NOT NULL, file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,"
                " count INTEGER NOT NULL, PRIMARY KEY(word, file)) WITHOUT ROWID;"
                "CREATE INDEX words_of_file ON words(file);"
                "PRAGMA user_version = 1");
    }
    all.commit();
}

void database::execute(const char* sql)
{
    if (sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
        fail(connection_.get());
}

void database::store(const std::string& path, const sight& file)
{
    transaction all(connection_.get());
    erase(connection_.get(), path);
    statement(connection_.get(), "INSERT INTO files(path, size, modified) VALUES(?, ?, ?)")
        .bind(1, path)
        .bind(2, file.stamp.size)
        .bind(3, file.stamp.modified)
        .run();
    const std::int64_t id = sqlite3_last_insert_rowid(connection_.get());
    statement add(connection_.get(), "INSERT INTO words(word, file, count) VALUES(?, ?, ?)");
    for (const auto& [word, count] : file.words)
        add.bind(1, word).bind(2, id).bind(3, count).run();
    all.commit();
}

bool database::remove(const std::string& path)
{
    transaction all(connection_.get());
    const bool was_there = erase(connection_.get(), path);
    all.commit();
    return was_there;
}

std::vector<std::string> database::differences(const std::string& directory,
                                               const std::vector<directory_entry>& entries)
{
    const std::string first = directory + '/';
    const std::string beyond = directory + static_cast<char>('/' + 1);
    std::map<std::string, file_stamp> known;
    std::set<std::string> names; // that differ; at first, all that are known
    statement all(connection_.get(), "SELECT path, size, modified FROM files WHERE path >= ? AND path < ?");
    all.bind(1, first).bind(2, beyond);
    while (all.step()) {
        const std::string rest = all.text(0).substr(first.size());
        const std::size_t slash = rest.find('/');
        names.insert(rest.substr(0, slash));
        if (slash == rest.npos)
            known[rest] = {all.number(1), all.number(2)};
    }
    for (const directory_entry& each : entries) {
        const auto found = known.find(each.name);
        if (!each.is_directory && found != known.end() && found->second == each.stamp && each.stamp.modified != -1)
            names.erase(each.name);
        else
            names.insert(each.name);
    }
    return {names.begin(), names.end()};
}

std::vector<std::string> database::search(std::string_view word)
{
    const std::string wanted = normalised(word);
    statement found(connection_.get(), "SELECT path FROM words JOIN files ON files.id = words.file WHERE word = ?"
                                       " ORDER BY count DESC, path");
    found.bind(1, wanted);
    std::vector<std::string> paths;
    while (found.step())
        paths.push_back(found.text(0));
    return paths;
}

} // namespace indexer
