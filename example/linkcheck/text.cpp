// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "text.hpp"

namespace linkcheck {
namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF";

// C0 and C1 controls, and the marks that reorder or break the text around them.
bool is_control(std::string_view character)
{
    const auto first = static_cast<unsigned char>(character[0]);
    if (character.size() == 1) {
        return first < 0x20U || first == 0x7FU;
    }
    const auto second = static_cast<unsigned char>(character[1]);
    if (character.size() == 2) {
        return first == 0xC2U && second < 0xA0U;
    }
    const auto third = static_cast<unsigned char>(character[2]);
    const bool separators = third == 0xA8U || third == 0xA9U;
    const bool embeddings = third >= 0xAAU && third <= 0xAEU;
    return first == 0xE2U &&
           ((second == 0x80U && (separators || embeddings)) || (second == 0x81U && third >= 0xA6U && third <= 0xA9U));
}

void append_escaped(std::string& out, std::string_view bytes)
{
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += "\\x";
        out += hex_digits[byte >> 4U];
        out += hex_digits[byte & 0xFU];
    }
}

bool is_space_or_control(char c)
{
    return static_cast<unsigned char>(c) <= 0x20U;
}

} // namespace

// Overlong forms, surrogates and values beyond U+10FFFF are not well-formed.
std::size_t utf8_length(std::string_view text)
{
    const auto byte = [&](std::size_t i) -> unsigned {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80U) {
        return text.empty() ? 0 : 1;
    }
    if (first >= 0xC2U && first <= 0xDFU && continues(1)) {
        return 2;
    }
    if ((first & 0xF0U) == 0xE0U && continues(1) && continues(2)) {
        const bool overlong = first == 0xE0U && byte(1) < 0xA0U;
        const bool surrogate = first == 0xEDU && byte(1) > 0x9FU;
        return overlong || surrogate ? 0 : 3;
    }
    if (first >= 0xF0U && first <= 0xF4U && continues(1) && continues(2) && continues(3)) {
        const bool overlong = first == 0xF0U && byte(1) < 0x90U;
        const bool beyond = first == 0xF4U && byte(1) > 0x8FU;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

std::string printable(std::string_view text, std::size_t limit)
{
    std::string out;
    std::size_t at = 0;
    while (at < text.size()) {
        if (at >= limit) {
            return out + "... (" + std::to_string(text.size()) + " bytes)";
        }
        const auto length = utf8_length(text.substr(at));
        const auto character = text.substr(at, length == 0 ? 1 : length);
        if (length == 0 || is_control(character)) {
            append_escaped(out, character);
        } else {
            out += character;
        }
        at += character.size();
    }
    return out;
}

std::string_view trimmed(std::string_view text)
{
    while (!text.empty() && is_space_or_control(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space_or_control(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

std::string lower_case(std::string_view text)
{
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
    }
    return lower;
}

} // namespace linkcheck
