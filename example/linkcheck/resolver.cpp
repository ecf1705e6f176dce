// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "resolver.hpp"

#include <boost/asio/io_context.hpp>

namespace linkcheck {

namespace asio = boost::asio;
using asio::ip::tcp;

resolver::endpoints resolver::resolve(const std::string& host, std::uint16_t port)
{
    {
        const std::lock_guard lock(mutex_);
        if (const auto at = known_.find({host, port}); at != known_.end()) {
            return at->second;
        }
    }
    asio::io_context context;
    const auto found = tcp::resolver(context).resolve(host, std::to_string(port), tcp::resolver::numeric_service);
    endpoints addresses(found.begin(), found.end());
    const std::lock_guard lock(mutex_);
    known_[{host, port}] = addresses;
    return addresses;
}

} // namespace linkcheck
