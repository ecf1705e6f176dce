// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "static_files.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace linkcheck {
namespace {

namespace fs = std::filesystem;

class StaticFiles : public testing::Test {
protected:
    StaticFiles()
    {
        std::string name = (fs::temp_directory_path() / "linkcheck-XXXXXX").string();
        top_ = ::mkdtemp(name.data());
        root_ = top_ / "site";
        fs::create_directories(root_ / "with");
        fs::create_directories(root_ / "without" / "deeper");
        std::ofstream(top_ / "secret.html") << "secret";
        std::ofstream(root_ / "with" / "index.html") << "index";
        std::ofstream(root_ / "without" / "a b.html") << "page";
        std::ofstream(root_ / "x.CSS") << "css";
    }

    ~StaticFiles() override
    {
        fs::remove_all(top_);
    }

    fs::path top_;
    fs::path root_;
};

TEST_F(StaticFiles, AreFoundByTheirPath)
{
    const auto found = find_static(root_, "/without/a%20b.html?query");
    EXPECT_EQ(found.status, 200U);
    EXPECT_EQ(found.content_type, "text/html");
    EXPECT_EQ(found.file, root_ / "without" / "a b.html");
    EXPECT_EQ(find_static(root_, "/x.CSS").content_type, "text/css");
}

TEST_F(StaticFiles, OfADirectoryAreItsIndexOrAList)
{
    EXPECT_EQ(find_static(root_, "/with/").file, root_ / "with" / "index.html");
    const auto list = find_static(root_, "/without/");
    EXPECT_EQ(list.status, 200U);
    EXPECT_NE(list.text.find("href=\"./a%20b.html\""), std::string::npos);
    EXPECT_NE(list.text.find("href=\"./deeper/\""), std::string::npos);
}

TEST_F(StaticFiles, RedirectToTheSlashOfADirectory)
{
    const auto found = find_static(root_, "/with");
    EXPECT_EQ(found.status, 301U);
    EXPECT_EQ(found.location, "/with/");
}

TEST_F(StaticFiles, AboveTheRootCannotBeNamed)
{
    for (const auto* const target :
         {"/../secret.html", "/%2e%2e/secret.html", "/with/../../secret.html", "/with/%2E%2E%2F..%2Fsecret.html", "..",
          "secret.html", "/..", "", "http://h/x.CSS"}) {
        EXPECT_EQ(find_static(root_, target).status, 400U) << target;
    }
    EXPECT_EQ(find_static(root_, "/x.CSS%00.html").status, 400U);
    EXPECT_EQ(find_static(root_, "//secret.html").status, 404U);
    EXPECT_EQ(find_static(root_, '/' + (top_ / "secret.html").string()).status, 404U);
}

TEST_F(StaticFiles, ThatAreNotThereAreNotFound)
{
    EXPECT_EQ(find_static(root_, "/no.html").status, 404U);
    EXPECT_EQ(find_static(root_, "/x.CSS/").status, 404U);
    EXPECT_EQ(find_static(root_, "/x.CSS/y").status, 404U);
    EXPECT_EQ(find_static(root_, '/' + std::string(5'000, 'x')).status, 404U);
}

} // namespace
} // namespace linkcheck
