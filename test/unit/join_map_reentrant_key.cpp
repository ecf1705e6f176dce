// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// Keys whose destructors use the map from which they are being removed.

#include <joinery/join_map.hpp>

#include <run.hpp>
#include <work.hpp>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <utility>

namespace asio = boost::asio;

using namespace joinery;
using namespace joinery::test;

namespace {

using error_code = boost::system::error_code;

/// A key whose end, also when it was moved from, calls a function, once.
struct calling_key {
    using hook = std::function<void()>;

    explicit calling_key(int given)
        : value(given)
    {
    }

    calling_key(calling_key&& other) noexcept
        : value(other.value)
    {
    }

    ~calling_key()
    {
        if (const hook call = std::exchange(at_end, nullptr))
            call();
        EXPECT_NE(std::exchange(value, -1), -1) << "it was destroyed before";
    }

    int value;
    inline static hook at_end;
};

struct calling_key_hash {
    std::size_t operator()(const calling_key& key) const
    {
        return std::hash<int>()(key.value);
    }
};

struct calling_key_equal {
    bool operator()(const calling_key& a, const calling_key& b) const
    {
        return a.value == b.value;
    }
};

class JoinMapReentrantKey : public testing::Test {
protected:
    using map_type = join_map<calling_key, int, calling_key_hash, calling_key_equal>;

    JoinMapReentrantKey()
    {
        spawn(0, 20);
        run(context);
    }

    void spawn(int first, int last)
    {
        for (int key = first; key != last; ++key)
            map.spawn(calling_key(key), give(key));
    }

    void join(int count)
    {
        for (int i = 0; i != count; ++i)
            EXPECT_TRUE(map.try_join_next()) << i;
    }

    /// Joins a task; a function is called while its key is being removed from the map.
    void join_and_meanwhile(calling_key::hook call)
    {
        calling_key::at_end = std::move(call);
        const auto joined = map.try_join_next();
        EXPECT_EQ(calling_key::at_end, nullptr);
        EXPECT_TRUE(joined && joined->key.value == joined->result.value());
    }

    /// The map works on: all its slots can be filled and emptied.
    void expect_all_in_order(std::size_t left)
    {
        EXPECT_EQ(map.size(), left);
        spawn(100, 140);
        run(context);
        join(static_cast<int>(left) + 40);
        EXPECT_TRUE(map.empty());
    }

    asio::io_context context;
    map_type map{context};
};

TEST_F(JoinMapReentrantKey, ItsDestructorMayDetachAllTasks)
{
    join_and_meanwhile([this] {
        EXPECT_FALSE(map.contains(calling_key(0)));
        map.detach_all();
    });
    expect_all_in_order(0);
}

TEST_F(JoinMapReentrantKey, ItsDestructorMayShutTheMapDown)
{
    join_and_meanwhile([this] { map.async_shutdown([](error_code) {}); });
    expect_all_in_order(0);
}

TEST_F(JoinMapReentrantKey, ItsDestructorMayShrinkTheMap)
{
    join(19);
    join_and_meanwhile([this] {
        map.shrink_to_fit();
        EXPECT_LT(map.capacity(), 40u);
    });
    expect_all_in_order(0);
}

TEST_F(JoinMapReentrantKey, ItsDestructorMayFillTheMap)
{
    join_and_meanwhile([this] { spawn(200, 300); });
    run(context);
    expect_all_in_order(119);
}

TEST_F(JoinMapReentrantKey, DestructorsMayEmptyTheMapWithinEachOther)
{
    join_and_meanwhile([this] {
        join_and_meanwhile([this] {
            join_and_meanwhile([this] { map.detach_all(); });
            spawn(20, 25);
            run(context);
            join_and_meanwhile([this] { map.detach_all(); });
            spawn(25, 30);
        });
        map.detach_all();
        spawn(30, 35);
    });
    run(context);
    expect_all_in_order(5);
}

} // namespace
