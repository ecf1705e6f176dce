// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <boost/asio/version.hpp>

#if BOOST_ASIO_VERSION < 102800

// Before Asio 1.28, `asio::redirect_error(asio::deferred, error)` does not compile, because it asks `deferred` for a
// type that it cannot have (https://github.com/chriskohlhoff/asio/pull/1114). A task is to await it all the same.

#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/redirect_error.hpp>

#include <type_traits>
#include <utility>

namespace boost::asio {

template<class Signature>
struct async_result<redirect_error_t<deferred_t>, Signature> {
    template<class Initiation, class Token, class... Args>
    static auto initiate(Initiation&& initiation, Token&& token, Args&&... args)
    {
        using stripped = typename detail::redirect_error_signature<Signature>::type;
        auto redirected = [initiation = std::decay_t<Initiation>(std::forward<Initiation>(initiation)),
                           &error = token.ec_]<class Handler, class... Given>(Handler&& handler,
                                                                              Given&&... given) mutable {
            using redirecting = detail::redirect_error_handler<std::decay_t<Handler>>;
            std::move(initiation)(redirecting(error, std::forward<Handler>(handler)), std::forward<Given>(given)...);
        };
        return async_initiate<const deferred_t, stripped>(std::move(redirected), deferred, std::forward<Args>(args)...);
    }
};

} // namespace boost::asio

#endif
