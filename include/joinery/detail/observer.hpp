// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/cancel_reason.hpp>
#include <joinery/detail/shared_object.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/observation.hpp>
#include <joinery/task_id.hpp>

#include <boost/intrusive/list.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace joinery::detail {

/// One line of `task_tree`, and what stands under it.
struct tree_line {
    task_id id;     // of the task; none for a set or map
    task_id parent; // to which a set or map belongs
    std::string text;
    std::vector<tree_line> below = {};
};

/// What can be seen in `task_tree`.
class observed : public boost::intrusive::list_base_hook<> {
public:
    /// Itself, with a line for each of its tasks. Any thread.
    virtual tree_line describe() const = 0;

    /// What has to be kept, so that it stays.
    virtual shared_object& kept_by() noexcept = 0;

protected:
    ~observed() = default;
};

/// All that is observed in the process.
class observatory {
public:
    static observatory& instance() noexcept
    {
        static observatory only;
        return only;
    }

    void enter(observed& what)
    {
        const std::lock_guard lock(mutex_);
        all_.push_back(what);
    }

    void leave(observed& what) noexcept
    {
        const std::lock_guard lock(mutex_);
        all_.erase(all_.iterator_to(what));
    }

    std::vector<tree_line> describe()
    {
        std::vector<std::pair<const observed*, shared_reference<shared_object>>> kept;
        std::unique_lock lock(mutex_);
        kept.reserve(all_.size());
        for (observed& each : all_) {
            if (each.kept_by().try_retain())
                kept.emplace_back(&each, shared_reference<shared_object>::adopt(&each.kept_by()));
        }
        lock.unlock(); // each has a lock of its own
        std::vector<tree_line> lines;
        lines.reserve(kept.size());
        for (const auto& [each, keep] : kept)
            lines.push_back(each->describe());
        return lines;
    }

private:
    std::mutex mutex_;
    boost::intrusive::list<observed> all_;
};

/// Counts the tasks of a set or map, and tells the user of them. Any thread.
class observer final : public shared_object {
public:
    explicit observer(observation&& wanted) noexcept
        : wanted_(std::move(wanted))
    {
    }

    const observation& wanted() const noexcept
    {
        return wanted_;
    }

    void spawned() noexcept
    {
        spawned_.fetch_add(1, std::memory_order_relaxed);
    }

    void not_spawned() noexcept
    {
        spawned_.fetch_sub(1, std::memory_order_relaxed);
    }

    void started(task_id id) noexcept
    {
        if (wanted_.on_start)
            wanted_.on_start(id);
    }

    void ended(const task_node& task) noexcept
    {
        const outcome how = task.how();
        std::atomic<std::uint64_t>& count = how == outcome::value       ? finished_
                                            : how == outcome::exception ? failed_
                                                                        : cancelled_[index_of(task.reason())];
        count.fetch_add(1, std::memory_order_relaxed);
        if (!wanted_.on_end)
            return;
        wanted_.on_end(task.id(), how == outcome::value       ? task_end::value
                                  : how == outcome::exception ? task_end::exception
                                                              : task_end::cancelled);
    }

    task_counters counters() const noexcept
    {
        task_counters seen;
        seen.spawned = spawned_.load(std::memory_order_relaxed);
        seen.finished = finished_.load(std::memory_order_relaxed);
        seen.failed = failed_.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i != cancelled_.size(); ++i)
            seen.cancelled[i] = cancelled_[i].load(std::memory_order_relaxed);
        return seen;
    }

private:
    static std::size_t index_of(cancel_reason reason) noexcept
    {
        return static_cast<std::size_t>(reason);
    }

    const observation wanted_;
    std::atomic<std::uint64_t> spawned_{0};
    std::atomic<std::uint64_t> finished_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::array<std::atomic<std::uint64_t>, 5> cancelled_{};
};

} // namespace joinery::detail
