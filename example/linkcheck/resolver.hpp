// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace linkcheck {

/// Finds the addresses of hosts, and remembers them.
/**
 * For the threads of a blocking pool: the system's resolver can neither be interrupted nor asked
 * without waiting, and Asio's own would make all requests of a worker wait for each other's names.
 *
 * @par Thread Safety every member function may be called by any thread
 */
class resolver {
public:
    using endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

    /// @par Errors `boost::system::system_error`
    endpoints resolve(const std::string& host, std::uint16_t port);

private:
    std::mutex mutex_;
    std::map<std::pair<std::string, std::uint16_t>, endpoints> known_;
};

} // namespace linkcheck
