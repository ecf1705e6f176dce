// Copyright (c) the joinery authors. Distributed under the Boost Software License, Version 1.0.

// The queues that tasks travel in, each as a table of what is done to it and what it answers. Tasks are the letters
// a to f; nothing runs them.

#include <joinery/detail/completion_queue.hpp>
#include <joinery/detail/run_queue.hpp>
#include <joinery/detail/task_list.hpp>
#include <joinery/detail/task_node.hpp>
#include <joinery/detail/task_stack.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace joinery::detail;

class letters {
public:
    task_node& operator[](char name)
    {
        return nodes_.at(static_cast<std::size_t>(name - 'a'));
    }

    /// The names of the tasks of a list, from its front; empties it.
    template<task_node* task_node::* Link>
    std::string names(basic_task_list<Link> list)
    {
        std::string found;
        while (!list.empty())
            found += name(list.pop_front());
        return found;
    }

    std::string name(const task_node& node) const
    {
        return {static_cast<char>('a' + (&node - nodes_.data()))};
    }

private:
    std::array<task_node, 6> nodes_;
};

/// What is done to a queue, and what it answers: "push a: wake, take: a, empty".
struct script {
    std::string name;
    std::string rows;

    friend std::ostream& operator<<(std::ostream& out, const script& shown)
    {
        return out << shown.rows;
    }
};

std::string name_of(const testing::TestParamInfo<script>& info)
{
    return info.param.name;
}

/// Plays a script, with `answer(verb, letter)` to do what a row says.
template<class F>
void play(const script& table, F&& answer)
{
    std::istringstream rows(table.rows);
    for (std::string row; std::getline(rows >> std::ws, row, ',');) {
        const std::size_t colon = std::min(row.find(": "), row.size());
        const std::size_t space = row.find(' ');
        const std::string expected = colon == row.size() ? "" : row.substr(colon + 2);
        ASSERT_EQ(answer(row.substr(0, std::min(space, colon)), space < colon ? row[space + 1] : '\0'), expected)
            << "at " << row << " of " << table.rows;
    }
}

std::string said(bool yes)
{
    return yes ? "yes" : "no";
}

std::string said(pushed what)
{
    return what == pushed::queued ? "queued" : what == pushed::wake ? "wake" : "closed";
}

std::string said(completion_queue::pushed what)
{
    using enum completion_queue::pushed;
    return what == queued ? "queued" : what == wake ? "wake" : "closed";
}

const std::string misspelt = "there is no such action";

// -- task_list ---------------------------------------------------------------------------------------------

class TaskList : public testing::TestWithParam<script> {};

TEST_P(TaskList, AnswersAsTheTableSays)
{
    letters task;
    task_list list;
    task_list other;
    play(GetParam(), [&](const std::string& verb, char letter) -> std::string {
        if (verb == "push")
            list.push_back(task[letter]);
        else if (verb == "other")
            other.push_back(task[letter]);
        else if (verb == "append")
            list.append(std::move(other));
        else if (verb == "assign")
            list = std::move(other);
        else if (verb == "pop")
            return task.name(list.pop_front());
        else if (verb == "empty")
            return said(list.empty());
        else if (verb == "all")
            return task.names(std::move(list));
        else if (verb == "all_other")
            return task.names(std::move(other));
        else
            return misspelt;
        return "";
    });
}

INSTANTIATE_TEST_SUITE_P(
    Tables, TaskList,
    testing::Values(script{"IsFirstInFirstOut",
                           "empty: yes, push a, push b, empty: no, pop: a, push c, pop: b, pop: c, empty: yes"},
                    script{"CanBeFilledAgain", "push a, pop: a, push a, push b, all: ab"},
                    script{"IsEmptyWhenMovedFrom", "push a, all: a, empty: yes, push b, all: b"},
                    script{"AppendsWhatAnotherHas", "push a, other b, other c, append, push d, all_other, all: abcd"},
                    script{"AppendsToNothing", "other b, append, push c, all: bc"},
                    script{"AppendsNothing", "push a, append, push b, all: ab"},
                    script{"TakesOverByAssignment", "other a, other b, assign, push c, all_other, all: abc"},
                    script{"TakesOverNothing", "assign, empty: yes, push c, all: c"}),
    name_of);

TEST(TaskListReversed, HasTheBottomOfTheStackInFront)
{
    letters task;
    EXPECT_TRUE(task_list::reversed(nullptr).empty());
    task['a'].next_ = nullptr;
    task['b'].next_ = &task['a'];
    task['c'].next_ = &task['b'];
    task_list list = task_list::reversed(&task['c']);
    list.push_back(task['d']);
    EXPECT_EQ(task.names(std::move(list)), "abcd");
}

TEST(TaskListLinks, ATaskMayStandInARunListAndInAListOfAbortsAtOnce)
{
    letters task;
    task_list ready;
    aborted_list aborted;
    for (const char name : {'a', 'b', 'c'})
        ready.push_back(task[name]);
    for (const char name : {'c', 'a', 'b'})
        aborted.push_back(task[name]);
    EXPECT_EQ(task.names(std::move(aborted)), "cab");
    EXPECT_EQ(task.names(std::move(ready)), "abc");
}

// -- task_stack --------------------------------------------------------------------------------------------

class TaskStack : public testing::TestWithParam<script> {};

TEST_P(TaskStack, AnswersAsTheTableSays)
{
    letters task;
    task_stack<> stack;
    play(GetParam(), [&](const std::string& verb, char letter) {
        return verb == "push"    ? said(stack.push(task[letter]))
               : verb == "empty" ? said(stack.empty())
               : verb == "take"  ? task.names(stack.take())
               : verb == "close" ? task.names(stack.close())
                                 : misspelt;
    });
}

INSTANTIATE_TEST_SUITE_P(
    Tables, TaskStack,
    testing::Values(script{"GivesAllInTheOrderOfPushing",
                           "empty: yes, push a: yes, push b: yes, push c: yes, empty: no, take: abc, empty: yes, take"},
                    script{"CanBeFilledAgain", "push a: yes, take: a, push a: yes, push b: yes, take: ab"},
                    script{"RefusesAllOnceClosed",
                           "push a: yes, push b: yes, close: ab, push c: no, empty: yes, take, push c: no"},
                    script{"ClosesTwice", "close, close, push a: no"}),
    name_of);

// -- run_queue ---------------------------------------------------------------------------------------------

class RunQueue : public testing::TestWithParam<script> {};

TEST_P(RunQueue, AnswersAsTheTableSays)
{
    letters task;
    run_queue queue;
    play(GetParam(), [&](const std::string& verb, char letter) {
        if (verb == "close") {
            task_list tasks;
            aborted_list aborted;
            queue.close(tasks, aborted);
            return task.names(std::move(tasks)) + "/" + task.names(std::move(aborted));
        }
        return verb == "push"           ? said(queue.push(task[letter]))
               : verb == "abort"        ? said(queue.push_aborted(task[letter]))
               : verb == "rouse"        ? said(queue.rouse())
               : verb == "take"         ? task.names(queue.take())
               : verb == "take_aborted" ? task.names(queue.take_aborted())
               : verb == "sleep"        ? said(queue.sleep())
                                        : misspelt;
    });
}

INSTANTIATE_TEST_SUITE_P(
    Tables, RunQueue,
    testing::Values(
        script{"WakesItsConsumerOnceForABurst", "push a: wake, push b: queued, push c: queued, take: abc"},
        script{"DoesNotWakeAConsumerThatIsAwake",
               "push a: wake, take: a, push b: queued, take: b, take, push c: queued, take: c"},
        script{"WakesAConsumerThatSleptAgain",
               "push a: wake, take: a, sleep: yes, push b: wake, push c: queued, take: bc"},
        script{"LetsNoConsumerSleepOverATask", "push a: wake, take: a, push b: queued, sleep: no, take: b, sleep: yes"},
        script{"WakesItsConsumerForAnAbort",
               "abort a: wake, abort b: queued, push c: queued, take_aborted: ab, take: c, take_aborted"},
        script{"LetsNoConsumerSleepOverAnAbort",
               "push a: wake, take: a, abort b: queued, sleep: no, abort c: queued, take_aborted: bc, sleep: yes, "
               "abort d: wake"},
        script{"TakesATaskThatIsAbortedWhileItIsQueued",
               "push a: wake, push b: queued, abort b: queued, abort a: queued, take: ab, take_aborted: ba"},
        script{"IsRousedOnceAndOnlyFromSleep",
               "rouse: yes, rouse: no, push a: queued, rouse: no, take: a, rouse: no, sleep: yes, rouse: yes, "
               "sleep: yes, push b: wake"},
        script{"RefusesAllOnceClosedInSleep",
               "close: /, push a: closed, abort a: closed, rouse: no, take, take_aborted, push a: closed"},
        script{"GivesAllWhenClosedAwake",
               "push a: wake, push b: queued, abort c: queued, abort a: queued, close: ab/ca, push d: closed, "
               "abort d: closed, close: /"},
        script{"GivesAnAbortThatCameInSleepWhenClosed", "abort a: wake, close: /a"},
        script{"LetsItsConsumerRestOnceClosed",
               "push a: wake, take: a, close: /, sleep: yes, push b: closed, abort b: closed"}),
    name_of);

// -- completion_queue --------------------------------------------------------------------------------------

class CompletionQueue : public testing::TestWithParam<script> {};

TEST_P(CompletionQueue, AnswersAsTheTableSays)
{
    letters task;
    completion_queue queue;
    play(GetParam(), [&](const std::string& verb, char letter) {
        if (verb == "push") {
            int warnings = 0;
            const std::string answer = said(queue.push(task[letter], [&warnings] { ++warnings; }));
            EXPECT_EQ(warnings, answer == "wake" ? 1 : 0) << "calls of before_wake for push " << letter;
            return answer;
        }
        return verb == "arm"     ? said(queue.arm())
               : verb == "take"  ? task.names(task_list::reversed(queue.take_stack()))
               : verb == "close" ? task.names(queue.close())
                                 : misspelt;
    });
}

INSTANTIATE_TEST_SUITE_P(
    Tables, CompletionQueue,
    testing::Values(
        script{"GivesAllInTheOrderOfTheirEnds",
               "take, push a: queued, push b: queued, push c: queued, take: abc, push d: queued, take: d, take"},
        script{"WakesForTheFirstEndOnceArmed",
               "arm: yes, push a: wake, push b: queued, take: ab, push c: queued, take: c"},
        script{"StaysArmedUntilATaskEnds", "arm: yes, arm: yes, push a: wake"},
        script{"IsNotArmedOverATask",
               "push a: queued, arm: no, push b: queued, take: ab, arm: yes, push c: wake, arm: no"},
        script{"IsDisarmedByTaking", "arm: yes, take, push a: queued, take: a"},
        script{"IsArmedAgain", "arm: yes, push a: wake, take: a, arm: yes, push b: wake, push c: queued, take: bc"},
        script{"GivesAllWhenClosedAndRefusesTheRest",
               "push a: queued, push b: queued, close: ab, push c: closed, take, push c: closed, close"},
        script{"WakesNobodyOnceClosed", "arm: yes, close, push a: closed, arm: no, push a: closed"}),
    name_of);

TEST(CompletionQueuePush, CallsBeforeWakeBeforeTheTaskCanBeTaken)
{
    letters task;
    completion_queue queue;
    ASSERT_TRUE(queue.arm());
    EXPECT_EQ(queue.push(task['a'], [&] { EXPECT_EQ(task.names(task_list::reversed(queue.take_stack())), ""); }),
              completion_queue::pushed::queued)
        << "the mark was taken away meanwhile, and so the consumer is awake";
    EXPECT_EQ(task.names(task_list::reversed(queue.take_stack())), "a");
}

} // namespace
