// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "charset.hpp"

#include "text.hpp"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace linkcheck {
namespace {

struct encoding_label {
    std::string_view label;
    const char* iconv_name;
};

// The page chooses the label, so only these reach iconv: its rarer converters have had holes.
constexpr auto encodings = std::to_array<encoding_label>({
    {"us-ascii", "WINDOWS-1252"},
    {"ascii", "WINDOWS-1252"},
    {"iso-8859-1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"windows-1252", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
    {"windows-1250", "WINDOWS-1250"},
    {"windows-1251", "WINDOWS-1251"},
    {"windows-1253", "WINDOWS-1253"},
    {"windows-1254", "WINDOWS-1254"},
    {"windows-1255", "WINDOWS-1255"},
    {"windows-1256", "WINDOWS-1256"},
    {"windows-1257", "WINDOWS-1257"},
    {"windows-1258", "WINDOWS-1258"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"shift_jis", "SHIFT_JIS"},
    {"euc-jp", "EUC-JP"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"gb18030", "GB18030"},
    {"big5", "BIG5"},
    {"euc-kr", "EUC-KR"},
    {"macintosh", "MACINTOSH"},
    {"utf-16", "UTF-16LE"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
});

constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

// What follows `charset=` in a content type or near the start of a page.
std::string charset_in(std::string_view text)
{
    const auto lower = lower_case(text);
    const auto at = lower.find("charset=");
    if (at == std::string::npos) {
        return "";
    }
    auto value = trimmed(std::string_view(lower).substr(at + 8));
    if (value.starts_with('"') || value.starts_with('\'')) {
        value.remove_prefix(1);
    }
    return std::string(value.substr(0, value.find_first_of("\"'; \t\r\n/>")));
}

// Closes the converter however the conversion ends.
class converter {
public:
    explicit converter(const char* from)
        : handle_(iconv_open("UTF-8", from))
    {
    }
    converter(const converter&) = delete;
    converter& operator=(const converter&) = delete;
    ~converter()
    {
        if (works()) {
            iconv_close(handle_);
        }
    }

    bool works() const
    {
        return reinterpret_cast<std::intptr_t>(handle_) != -1;
    }

    std::string convert(std::string body)
    {
        std::string out;
        std::array<char, 4096> room{};
        char* from = body.data();
        std::size_t from_left = body.size();
        while (from_left > 0) {
            char* to = room.data();
            std::size_t to_left = room.size();
            const auto result = iconv(handle_, &from, &from_left, &to, &to_left);
            const int error = result == static_cast<std::size_t>(-1) ? errno : 0;
            out.append(room.data(), room.size() - to_left);
            if (error == EINVAL || error == EILSEQ) {
                out += replacement_character;
                ++from;
                --from_left;
            }
        }
        return out;
    }

private:
    iconv_t handle_;
};

std::string converted(std::string body, const char* from)
{
    converter conversion(from);
    return conversion.works() ? conversion.convert(std::move(body)) : body;
}

bool is_utf8(std::string_view body)
{
    for (std::size_t at = 0; at < body.size();) {
        const auto length = utf8_length(body.substr(at));
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

} // namespace

std::string to_utf8(std::string body, std::string_view content_type)
{
    if (body.starts_with("\xEF\xBB\xBF")) {
        return body.substr(3);
    }
    if (body.starts_with("\xFF\xFE") || body.starts_with("\xFE\xFF")) {
        return converted(body.substr(2), body[0] == '\xFF' ? "UTF-16LE" : "UTF-16BE");
    }
    auto label = charset_in(content_type);
    if (label.empty()) {
        // A page that can be read as far as its <meta> is no UTF-16, whatever it says there.
        label = charset_in(std::string_view(body).substr(0, 1024));
        label = label.starts_with("utf-16") ? "utf-8" : label;
    }
    const auto known =
        std::find_if(encodings.begin(), encodings.end(), [&](const auto& each) { return each.label == label; });
    if (known != encodings.end()) {
        return converted(std::move(body), known->iconv_name);
    }
    return label == "utf-8" || is_utf8(body) ? body : converted(std::move(body), "WINDOWS-1252");
}

} // namespace linkcheck
