// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/observer.hpp>
#include <joinery/task_id.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace joinery {

namespace detail {

inline tree_line* find_line(std::vector<tree_line>& lines, task_id id)
{
    for (tree_line& each : lines) {
        if (each.id == id)
            return &each;
        if (tree_line* const found = find_line(each.below, id))
            return found;
    }
    return nullptr;
}

inline void write_lines(std::string& text, const std::vector<tree_line>& lines, std::size_t depth)
{
    for (const tree_line& each : lines) {
        text.append(2 * depth, ' ').append(each.text) += '\n';
        write_lines(text, each.below, depth + 1);
    }
}

} // namespace detail

/// The sets and maps of the process that are observed, their tasks, and what each does, as text.
/**
 * A line for each; the tasks of a set or map stand indented below it, and one that belongs to a task below that. Sets and
 * maps are looked at one after the other, so a task may be missing that began meanwhile. Any thread. For the log of
 * a program that hangs, not for other programs: the format may change.
 */
inline std::string task_tree()
{
    std::vector<detail::tree_line> roots;
    std::vector<detail::tree_line> owned;
    for (detail::tree_line& each : detail::observatory::instance().describe())
        (each.parent == task_id() ? roots : owned).push_back(std::move(each));
    for (bool moved = true; std::exchange(moved, false);) {
        for (std::size_t i = owned.size(); i-- != 0;) {
            detail::tree_line* const parent = detail::find_line(roots, owned[i].parent);
            if (!parent)
                continue;
            parent->below.push_back(std::move(owned[i]));
            owned.erase(owned.begin() + static_cast<std::ptrdiff_t>(i));
            moved = true;
        }
    }
    for (detail::tree_line& each : owned) // of tasks that are not observed, or have ended
        roots.push_back(std::move(each));
    std::string text;
    detail::write_lines(text, roots, 0);
    return text;
}

} // namespace joinery
