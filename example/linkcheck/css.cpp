// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "css.hpp"

#include "text.hpp"

#include <boost/url/grammar/alnum_chars.hpp>
#include <boost/url/grammar/hexdig_chars.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace linkcheck {
namespace {

namespace grammar = boost::urls::grammar;

bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

bool is_name(char c)
{
    return grammar::alnum_chars(c) || c == '-' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

void append_utf8(std::string& out, unsigned code)
{
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xC0U | (code >> 6U));
        out += static_cast<char>(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
        out += static_cast<char>(0xE0U | (code >> 12U));
        out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
        out += static_cast<char>(0x80U | (code & 0x3FU));
    } else {
        out += static_cast<char>(0xF0U | ((code >> 18U) & 0x7U));
        out += static_cast<char>(0x80U | ((code >> 12U) & 0x3FU));
        out += static_cast<char>(0x80U | ((code >> 6U) & 0x3FU));
        out += static_cast<char>(0x80U | (code & 0x3FU));
    }
}

// Reads a style sheet from its start to its end, once. Knows as much of the grammar as it takes not
// to be misled by comments and strings: names, strings, comments, `url(`, and single characters.
class css_reader {
public:
    explicit css_reader(std::string_view css)
        : rest_(css)
    {
    }

    std::vector<css_reference> read()
    {
        bool importing = false;
        while (!rest_.empty()) {
            const char c = rest_.front();
            if (rest_.starts_with("/*")) {
                skip(std::min(rest_.find("*/", 2), rest_.size() - 2) + 2);
            } else if (c == '"' || c == '\'') {
                const auto line = line_;
                const auto text = quoted();
                if (importing) {
                    add(text, line);
                }
                importing = false;
            } else if (c == '@' || is_name(c)) {
                importing = name() == "@import";
            } else {
                importing = importing && is_space(c);
                skip(1);
            }
        }
        return std::move(found_);
    }

private:
    void skip(std::size_t count)
    {
        const auto skipped = rest_.substr(0, count);
        line_ += static_cast<int>(std::count(skipped.begin(), skipped.end(), '\n'));
        rest_.remove_prefix(skipped.size());
    }

    void skip_spaces()
    {
        while (!rest_.empty() && is_space(rest_.front())) {
            skip(1);
        }
    }

    void add(std::string_view reference, int line)
    {
        if (const auto text = trimmed(reference); !text.empty()) {
            found_.push_back({std::string(text), line});
        }
    }

    // Reads a name, and the whole of a `url(…)` with it.
    std::string name()
    {
        const auto end = std::find_if_not(rest_.begin() + 1, rest_.end(), is_name);
        auto word = lower_case(rest_.substr(0, static_cast<std::size_t>(end - rest_.begin())));
        skip(word.size());
        if (word == "url" && rest_.starts_with('(')) {
            skip(1);
            skip_spaces();
            const auto line = line_;
            const bool has_quote = rest_.starts_with('"') || rest_.starts_with('\'');
            add(has_quote ? quoted() : bare(), line);
        }
        return word;
    }

    std::string quoted()
    {
        const char quote = rest_.front();
        skip(1);
        std::string text;
        while (!rest_.empty() && rest_.front() != quote && rest_.front() != '\n') {
            append_character(text);
        }
        skip(1);
        return text;
    }

    std::string bare()
    {
        std::string text;
        while (!rest_.empty() && rest_.front() != ')') {
            append_character(text);
        }
        return text;
    }

    void append_character(std::string& text)
    {
        if (rest_.front() != '\\' || rest_.size() == 1) {
            text += rest_.front();
            skip(1);
            return;
        }
        skip(1);
        unsigned code = 0;
        int digits = 0;
        while (digits < 6 && !rest_.empty() && grammar::hexdig_value(rest_.front()) >= 0) {
            code = code * 16 + static_cast<unsigned>(grammar::hexdig_value(rest_.front()));
            ++digits;
            skip(1);
        }
        if (digits == 0) {
            if (rest_.front() != '\n') { // an escaped line break continues the string
                text += rest_.front();
            }
            skip(1);
            return;
        }
        append_utf8(text, code > 0x10FFFF ? 0xFFFDU : code);
        if (!rest_.empty() && is_space(rest_.front())) {
            skip(1);
        }
    }

    std::string_view rest_;
    int line_ = 0;
    std::vector<css_reference> found_;
};

} // namespace

std::vector<css_reference> css_references(std::string_view css)
{
    return css_reader(css).read();
}

} // namespace linkcheck
