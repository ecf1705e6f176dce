// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <joinery/detail/shared_object.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>

#include <memory>
#include <mutex>

namespace joinery::detail {

/// Hears when an execution context that it uses is destroyed.
/**
 * Asio's rule is that when a context is destroyed, every service is shut down before any is deleted; handlers that
 * wait are destroyed in that first phase, uncalled. A member that holds handlers, executors or tasks of the context
 * lets go of them in `context_gone`, which is called in that phase, once, at a moment when no thread runs the context.
 */
class context_member : public shared_object {
public:
    /// Enters the registry of the context of an executor.
    template<class Executor>
    void join_context(const Executor& executor);

protected:
    ~context_member() override;

    virtual void context_gone() noexcept = 0;

private:
    friend class context_registry;

    std::shared_ptr<class context_registry> registry_;
    context_member* before_ = nullptr;
    context_member* after_ = nullptr;
    bool listed_ = false;
};

/// The members of one execution context. Outlives it, as long as there are members.
class context_registry {
public:
    void enter(context_member& member) noexcept
    {
        const std::lock_guard lock(mutex_);
        member.after_ = first_;
        if (first_)
            first_->before_ = &member;
        first_ = &member;
        member.listed_ = true;
    }

    void leave(context_member& member) noexcept
    {
        const std::lock_guard lock(mutex_);
        unlink(member);
    }

    void shutdown() noexcept
    {
        while (context_member* const member = take_one()) {
            // Not under the lock: what a member lets go of may be another member, here or elsewhere.
            member->context_gone();
            member->release();
        }
    }

private:
    /// Takes out a member, with a reference to it.
    context_member* take_one() noexcept
    {
        const std::lock_guard lock(mutex_);
        while (first_) {
            context_member& member = *first_;
            unlink(member);
            // One that is being destroyed at this moment waits in `leave` for the lock, and needs no word.
            if (member.try_retain())
                return &member;
        }
        return nullptr;
    }

    void unlink(context_member& member) noexcept
    {
        if (!member.listed_)
            return;
        (member.before_ ? member.before_->after_ : first_) = member.after_;
        if (member.after_)
            member.after_->before_ = member.before_;
        member.before_ = member.after_ = nullptr;
        member.listed_ = false;
    }

    std::mutex mutex_;
    context_member* first_ = nullptr;
};

/// Ties a registry to its context.
class context_registry_service : public boost::asio::execution_context::service {
public:
    inline static boost::asio::execution_context::id id;

    explicit context_registry_service(boost::asio::execution_context& context)
        : boost::asio::execution_context::service(context)
        , registry(std::make_shared<context_registry>())
    {
    }

    void shutdown() override
    {
        registry->shutdown();
    }

    const std::shared_ptr<context_registry> registry;
};

/// The execution context of any executor.
template<class Executor>
boost::asio::execution_context& context_of(const Executor& executor)
{
    if constexpr (boost::asio::can_query<const Executor&, boost::asio::execution::context_t>::value)
        return boost::asio::query(executor, boost::asio::execution::context);
    else
        return executor.context();
}

template<class Executor>
void context_member::join_context(const Executor& executor)
{
    boost::asio::execution_context& context = context_of(executor);
    // Services are shut down in the reverse order of their making. The one of the strands must be there before the registry,
    // so that who posts to a strand while the context goes is turned away before the strands are gone.
    if (!boost::asio::has_service<context_registry_service>(context))
        static_cast<void>(boost::asio::strand<Executor>(executor));
    registry_ = boost::asio::use_service<context_registry_service>(context).registry;
    registry_->enter(*this);
}

inline context_member::~context_member()
{
    if (registry_)
        registry_->leave(*this);
}

} // namespace joinery::detail
