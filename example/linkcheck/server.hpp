// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <joinery/task.hpp>

#include <filesystem>
#include <string>

namespace linkcheck {

/// Serves a directory over HTTP, to this machine only.
class static_server {
public:
    /// Listens on a free port of the loopback interface.
    /** @par Errors `boost::system::system_error` if there is none */
    static_server(const boost::asio::any_io_executor& executor, std::filesystem::path root);

    /// `http://127.0.0.1:port/`
    std::string url() const;

    /// Answers requests until it is aborted.
    static joinery::task<void> run(static_server server);

private:
    boost::asio::ip::tcp::acceptor acceptor_;
    std::filesystem::path root_;
};

} // namespace linkcheck
