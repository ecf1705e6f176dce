// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/is_error_code_enum.hpp>

#include <string>
#include <type_traits>

namespace joinery {

/// Why a set or map refuses work.
enum class errc {
    closed = 1, ///< it was closed, shut down with a grace period, or destroyed
    full,       ///< as many tasks as may wait do so already
};

namespace detail {

class error_category final : public boost::system::error_category {
public:
    const char* name() const noexcept override
    {
        return "joinery";
    }

    std::string message(int value) const override
    {
        switch (static_cast<errc>(value)) {
        case errc::closed:
            return "the set or map is closed";
        case errc::full:
            return "too many tasks wait in the set or map";
        }
        return "unknown error";
    }
};

} // namespace detail

/// The category of `errc`.
inline const boost::system::error_category& error_category() noexcept
{
    static const detail::error_category only;
    return only;
}

/// Found by `boost::system::error_code`.
inline boost::system::error_code make_error_code(errc value) noexcept
{
    return {static_cast<int>(value), error_category()};
}

} // namespace joinery

template<>
struct boost::system::is_error_code_enum<joinery::errc> : std::true_type {};
