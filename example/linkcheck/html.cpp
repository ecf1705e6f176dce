// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#include "html.hpp"

#include "css.hpp"
#include "text.hpp"

#include <gumbo.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <memory_resource>
#include <new>
#include <span>
#include <utility>

namespace linkcheck {
namespace {

// The memory of one parse, given back all at once.
//
// Gumbo can neither be interrupted nor told of a limit, and it frees a tree by recursion, which a
// page of nested elements turns into a stack overflow. So the arena frees the tree itself, and when
// the budget is spent it jumps out of Gumbo's C code, which owns nothing but memory of the arena.
class parse_arena {
public:
    parse_arena(std::size_t max_memory, std::stop_token stop)
        : memory_left_(max_memory)
        , stop_(std::move(stop))
    {
    }

    // The tree, which lives as long as the arena; nullptr if the budget did not suffice.
    GumboOutput* parse(std::string_view html)
    {
        options_ = kGumboDefaultOptions;
        options_.userdata = this;
        options_.allocator = [](void* self, std::size_t size) {
            return static_cast<parse_arena*>(self)->allocate(size);
        };
        options_.deallocator = [](void*, void*) {};
        options_.max_errors = 0;
        // Nothing with a destructor may live between here and the jump.
        if (setjmp(spent_) != 0) { // NOLINT(cert-err52-cpp,modernize-avoid-setjmp-longjmp)
            return nullptr;
        }
        return gumbo_parse_with_options(&options_, html.data(), html.size());
    }

private:
    void* allocate(std::size_t size)
    {
        void* const block = is_spent(size) ? nullptr : try_allocate(size);
        if (block == nullptr) {
            std::longjmp(spent_, 1); // NOLINT(cert-err52-cpp,modernize-avoid-setjmp-longjmp)
        }
        return block;
    }

    void* try_allocate(std::size_t size) noexcept
    {
        try {
            memory_left_ -= size;
            return memory_.allocate(size);
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }

    bool is_spent(std::size_t size) noexcept
    {
        return size > memory_left_ || stop_.stop_requested();
    }

    std::pmr::monotonic_buffer_resource memory_;
    std::size_t memory_left_;
    std::stop_token stop_;
    GumboOptions options_{};
    std::jmp_buf spent_{};
};

struct link_attribute {
    GumboTag tag;
    std::string_view name;
};

constexpr auto link_attributes = std::to_array<link_attribute>({
    {GUMBO_TAG_A, "href"},          {GUMBO_TAG_AREA, "href"},        {GUMBO_TAG_AUDIO, "src"},
    {GUMBO_TAG_BLOCKQUOTE, "cite"}, {GUMBO_TAG_BODY, "background"},  {GUMBO_TAG_BUTTON, "formaction"},
    {GUMBO_TAG_DEL, "cite"},        {GUMBO_TAG_EMBED, "src"},        {GUMBO_TAG_FORM, "action"},
    {GUMBO_TAG_FRAME, "longdesc"},  {GUMBO_TAG_FRAME, "src"},        {GUMBO_TAG_HTML, "manifest"},
    {GUMBO_TAG_IFRAME, "longdesc"}, {GUMBO_TAG_IFRAME, "src"},       {GUMBO_TAG_IMG, "longdesc"},
    {GUMBO_TAG_IMG, "lowsrc"},      {GUMBO_TAG_IMG, "src"},          {GUMBO_TAG_INPUT, "formaction"},
    {GUMBO_TAG_INPUT, "src"},       {GUMBO_TAG_INS, "cite"},         {GUMBO_TAG_LINK, "href"},
    {GUMBO_TAG_OBJECT, "data"},     {GUMBO_TAG_Q, "cite"},           {GUMBO_TAG_SCRIPT, "src"},
    {GUMBO_TAG_SOURCE, "src"},      {GUMBO_TAG_TABLE, "background"}, {GUMBO_TAG_TD, "background"},
    {GUMBO_TAG_TH, "background"},   {GUMBO_TAG_TR, "background"},    {GUMBO_TAG_TRACK, "src"},
    {GUMBO_TAG_VIDEO, "poster"},    {GUMBO_TAG_VIDEO, "src"},
});

template<class T>
std::span<T* const> items(const GumboVector& vector)
{
    return {reinterpret_cast<T* const*>(vector.data), vector.length};
}

std::string_view attribute(const GumboElement& element, const char* name)
{
    const auto* const found = gumbo_get_attribute(&element.attributes, name);
    return found == nullptr ? std::string_view() : std::string_view(found->value);
}

bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

std::string_view without_leading_spaces(std::string_view text)
{
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    return text;
}

// How much of a srcset comes before the comma that ends it, which is not one in parentheses.
std::size_t descriptor_length(std::string_view srcset)
{
    bool inside = false;
    for (std::size_t at = 0; at < srcset.size(); ++at) {
        if (srcset[at] == ',' && !inside) {
            return at;
        }
        inside = srcset[at] == '(' || (inside && srcset[at] != ')');
    }
    return srcset.size();
}

// The URLs of `small.png 1x, large.png 2x`. A URL may hold commas, but not at its end.
std::vector<std::string_view> srcset_references(std::string_view srcset)
{
    std::vector<std::string_view> found;
    for (;;) {
        while (!srcset.empty() && (is_space(srcset.front()) || srcset.front() == ',')) {
            srcset.remove_prefix(1);
        }
        if (srcset.empty()) {
            return found;
        }
        const auto end = std::find_if(srcset.begin(), srcset.end(), is_space) - srcset.begin();
        auto url = srcset.substr(0, static_cast<std::size_t>(end));
        srcset.remove_prefix(url.size());
        if (url.ends_with(',')) {
            url = url.substr(0, url.find_last_not_of(',') + 1);
        } else {
            srcset.remove_prefix(descriptor_length(srcset));
        }
        found.push_back(url);
    }
}

// The URL of `5; url='next.html'`, the content of a <meta http-equiv="refresh">.
std::string_view refresh_reference(std::string_view content)
{
    content = without_leading_spaces(content);
    const auto delay = std::min(content.find_first_not_of("0123456789."), content.size());
    if (delay == 0) {
        return {};
    }
    content = without_leading_spaces(content.substr(delay));
    if (content.starts_with(';') || content.starts_with(',')) {
        content = without_leading_spaces(content.substr(1));
    }
    if (lower_case(content.substr(0, 3)) == "url") {
        const auto value = without_leading_spaces(content.substr(3));
        content = value.starts_with('=') ? without_leading_spaces(value.substr(1)) : content;
    }
    if (content.starts_with('"') || content.starts_with('\'')) {
        return content.substr(1, content.find(content.front(), 1) - 1);
    }
    return content;
}

// A `rel` that names a host to get ready for, not a resource.
bool is_connection_hint(std::string_view rel)
{
    const auto lower = lower_case(rel);
    return lower.find("dns-prefetch") != std::string::npos || lower.find("preconnect") != std::string::npos;
}

// Collects from one element after the other what a page says about links.
class page_reader {
public:
    void read(const GumboElement& element)
    {
        if (element.tag == GUMBO_TAG_BASE && found_.base.empty()) {
            found_.base = attribute(element, "href");
        }
        for (const auto* const each : items<GumboAttribute>(element.attributes)) {
            read(element, each->name, each->value);
        }
        if (element.tag == GUMBO_TAG_STYLE) {
            for (const auto* const child : items<GumboNode>(element.children)) {
                if (child->type == GUMBO_NODE_TEXT) {
                    add_css(child->v.text.text, line_of(child->v.text.start_pos));
                }
            }
        }
    }

    page take()
    {
        std::sort(found_.anchors.begin(), found_.anchors.end());
        const auto repeated = std::unique(found_.anchors.begin(), found_.anchors.end());
        found_.anchors.erase(repeated, found_.anchors.end());
        return std::move(found_);
    }

private:
    static int line_of(const GumboSourcePosition& position)
    {
        return static_cast<int>(position.line);
    }

    void read(const GumboElement& element, std::string_view name, std::string_view value)
    {
        const int line = line_of(element.start_pos);
        if (name == "id" || (name == "name" && element.tag == GUMBO_TAG_A)) {
            found_.anchors.emplace_back(value);
        } else if (name == "style") {
            add_css(value, line);
        } else if (name == "srcset" && (element.tag == GUMBO_TAG_IMG || element.tag == GUMBO_TAG_SOURCE)) {
            for (const auto reference : srcset_references(value)) {
                add(reference, line);
            }
        } else if (element.tag == GUMBO_TAG_META && name == "content" &&
                   lower_case(attribute(element, "http-equiv")) == "refresh") {
            if (const auto reference = refresh_reference(value); !reference.empty()) {
                add(reference, line);
            }
        } else if (is_link(element, name)) {
            add(value, line);
        }
    }

    static bool is_link(const GumboElement& element, std::string_view name)
    {
        const auto matches = [&](const link_attribute& each) { return each.tag == element.tag && each.name == name; };
        if (std::none_of(link_attributes.begin(), link_attributes.end(), matches)) {
            return false;
        }
        // To ask for the target of a form that posts would be to do something other than to look.
        const bool posts = element.tag == GUMBO_TAG_FORM && lower_case(attribute(element, "method")) == "post";
        const bool hints = element.tag == GUMBO_TAG_LINK && is_connection_hint(attribute(element, "rel"));
        return !posts && !hints;
    }

    void add(std::string_view reference, int line)
    {
        found_.links.push_back({std::string(reference), line});
    }

    void add_css(std::string_view css, int line)
    {
        for (auto& each : css_references(css)) {
            found_.links.push_back({std::move(each.reference), line + each.line});
        }
    }

    page found_;
};

// The parser copies an element that was left open into what follows it, attributes and all.
bool is_copy(const GumboNode& node)
{
    const auto flags = static_cast<unsigned>(node.parse_flags);
    return (flags & (GUMBO_INSERTION_RECONSTRUCTED_FORMATTING_ELEMENT | GUMBO_INSERTION_ADOPTION_AGENCY_CLONED)) != 0;
}

} // namespace

page_too_complex::page_too_complex()
    : std::runtime_error("too complex to be parsed")
{
}

page parse_html(std::string_view html, std::size_t max_memory, std::stop_token stop)
{
    parse_arena arena(max_memory, std::move(stop));
    const auto* const tree = arena.parse(html);
    if (tree == nullptr) {
        throw page_too_complex();
    }
    page_reader reader;
    // A stack of our own: pages nest deeper than the thread's stack could follow.
    std::vector<const GumboNode*> ahead{tree->root};
    while (!ahead.empty()) {
        const auto& node = *ahead.back();
        ahead.pop_back();
        if (node.type != GUMBO_NODE_ELEMENT) { // what a <template> holds is not on the page
            continue;
        }
        if (!is_copy(node)) {
            reader.read(node.v.element);
        }
        const auto children = items<GumboNode>(node.v.element.children);
        ahead.insert(ahead.end(), children.rbegin(), children.rend());
    }
    return reader.take();
}

page parse_css(std::string_view css)
{
    page found;
    for (auto& each : css_references(css)) {
        found.links.push_back({std::move(each.reference), each.line + 1});
    }
    return found;
}

} // namespace linkcheck
