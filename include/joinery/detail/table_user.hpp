// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/join_operation.hpp>
#include <joinery/detail/join_state.hpp>
#include <joinery/detail/shared_object.hpp>

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace joinery::detail {

template<class Table>
struct join_until_closed_operation;

/// Uses a set or map beside its owner, from any thread.
/**
 * While there is one, a join counts as outstanding: so the owner takes the lock for each call, and what others do is in order
 * with that. It keeps the state, not the set or map: when that is destroyed, calls find it closed and empty.
 */
template<class Table>
class table_user {
public:
    explicit table_user(Table& table)
        : table_(table)
    {
        table.add_user();
    }

    table_user(const table_user& other)
        : table_user(*other.table_)
    {
    }

    table_user(table_user&& other) noexcept = default;

    table_user& operator=(table_user other) noexcept
    {
        std::swap(table_, other.table_);
        return *this;
    }

    ~table_user()
    {
        if (table_)
            table_->remove_user();
    }

    Table& table() const noexcept
    {
        return *table_;
    }

private:
    shared_reference<Table> table_;
};

/// Takes every outcome as it comes, and hands it to a function, until the set or map is closed and empty, or destroyed.
template<class Table, class F>
class consumer {
    using next_join = join_until_closed_operation<Table>;

public:
    static void start(Table& table, F&& function)
    {
        wait(table_user<Table>(table), std::move(function));
    }

private:
    struct on_next {
        table_user<Table> user;
        F function;

        void operator()(boost::system::error_code error, std::optional<typename Table::joined> next)
        {
            constexpr int many = 64; // then others have their turn
            if (error)
                return;
            // Goes on also if the function throws, to whoever runs the executor.
            resumption after{*this};
            for (int taken = 0; next; next = user.table().try_join()) {
                function(std::move(*next));
                if (++taken == many)
                    return;
            }
            after.is_over = user.table().has_run_dry();
        }
    };

    struct resumption {
        on_next& handler;
        bool is_over = false;

        ~resumption() noexcept(false)
        {
            if (!is_over)
                wait(std::move(handler.user), std::move(handler.function));
        }
    };

    static void wait(table_user<Table> user, F function)
    {
        const shared_reference<Table> table(user.table());
        join_operation<next_join, on_next>::start(table, next_join(), on_next{std::move(user), std::move(function)});
    }
};

} // namespace joinery::detail
