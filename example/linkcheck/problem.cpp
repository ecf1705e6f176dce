// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "problem.hpp"

namespace linkcheck {

std::string_view name_of(problem_kind kind)
{
    switch (kind) {
    case problem_kind::malformed:
        return "malformed";
    case problem_kind::dns:
        return "dns";
    case problem_kind::connect:
        return "connect";
    case problem_kind::tls:
        return "tls";
    case problem_kind::timeout:
        return "timeout";
    case problem_kind::reset:
        return "reset";
    case problem_kind::not_http:
        return "not_http";
    case problem_kind::too_large:
        return "too_large";
    case problem_kind::too_complex:
        return "too_complex";
    case problem_kind::http_status:
        return "http_status";
    case problem_kind::redirect:
        return "redirect";
    case problem_kind::fragment:
        return "fragment";
    case problem_kind::internal:
        break;
    }
    return "internal";
}

} // namespace linkcheck
