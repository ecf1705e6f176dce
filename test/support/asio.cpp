// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// The functions of Asio for all test programs, which are built with BOOST_ASIO_SEPARATE_COMPILATION.

#include <boost/asio/impl/src.hpp>
