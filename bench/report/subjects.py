"""Who takes part, with how many tasks, and how often."""

from dataclasses import dataclass

ONE_THREAD = "one thread"
TWO_WORKERS = "two workers"
GROUPS = (ONE_THREAD, TWO_WORKERS)

WORKLOADS = (
    "spawn_join", "steady", "yield1", "yield10", "replace", "pending_spawn", "abort_all", "abort_key",
    "abort_matching", "contains_hit", "contains_miss", "string_keys", "drop", "blocking", "timer",
)

SIZES = {1_000: "1k", 100_000: "100k", 1_000_000: "1M", 10_000_000: "10M"}


@dataclass(frozen=True)
class Depth:
    """How often a subject is measured with n tasks: in so many rounds, with so many passes in each."""

    rounds: dict
    passes: dict


# Each workload with 1M tasks; the last size is for the workloads in HUGE alone.
FULL = Depth({1_000: 7, 100_000: 5, 1_000_000: 2, 10_000_000: 1}, {1_000: 20, 100_000: 7, 1_000_000: 3, 10_000_000: 1})
# Those that take microseconds for a task: with 1M tasks only the workloads in LARGE, or they would take all of the time.
PART = Depth({1_000: 7, 100_000: 2, 1_000_000: 1}, {1_000: 20, 100_000: 3, 1_000_000: 1})
# A thread for each task.
LITTLE = Depth({1_000: 3}, {1_000: 3})

HUGE = ("spawn_join", "steady")
LARGE = ("spawn_join", "steady", "pending_spawn", "string_keys")


@dataclass(frozen=True)
class Subject:
    name: str
    label: str
    group: str
    command: tuple  # the program, and what comes before the workload
    depth: Depth

    def rounds(self, workload, n):
        """In how many rounds it is measured at most."""
        if n == 10_000_000 and workload not in HUGE:
            return 0
        if n == 1_000_000 and self.depth is PART and workload not in LARGE:
            return 0
        if n >= 1_000_000 and workload == "blocking":
            return 0  # 10 microseconds each with tokio
        return self.depth.rounds.get(n, 0)

    def passes(self, n):
        """Timed passes in one process."""
        return self.depth.passes.get(n, 1)


SUBJECTS = (
    Subject("floor", "floor", ONE_THREAD, ("bench_floor",), FULL),
    Subject("joinery_task", "joinery, `task`", ONE_THREAD, ("bench_joinery_task",), FULL),
    Subject("joinery_awaitable", "joinery, `awaitable`", ONE_THREAD, ("bench_joinery_awaitable",), PART),
    Subject("asio", "Asio by hand", ONE_THREAD, ("bench_asio_one_thread",), PART),
    Subject("tokio", "tokio", ONE_THREAD, ("bench_tokio", "current"), FULL),
    Subject("tokio_util", "tokio-util", ONE_THREAD, ("bench_tokio_util", "current"), FULL),
    Subject("joinery_task_runtime", "joinery, `task`", TWO_WORKERS, ("bench_joinery_task_runtime",), FULL),
    Subject("joinery_awaitable_runtime", "joinery, `awaitable`", TWO_WORKERS, ("bench_joinery_awaitable_runtime",), PART),
    Subject("joinery_task_thread_pool", "joinery on `thread_pool`", TWO_WORKERS, ("bench_joinery_task_thread_pool",), PART),
    Subject("asio_thread_pool", "Asio by hand, strands", TWO_WORKERS, ("bench_asio_thread_pool",), PART),
    Subject("tokio_multi", "tokio", TWO_WORKERS, ("bench_tokio", "multi2"), FULL),
    Subject("tokio_util_multi", "tokio-util", TWO_WORKERS, ("bench_tokio_util", "multi2"), FULL),
    Subject("onetbb", "oneTBB `task_group`", TWO_WORKERS, ("bench_onetbb",), PART),
    Subject("standard_async", "`std::async`", TWO_WORKERS, ("bench_standard_async",), LITTLE),
)

# In each group: the subject that the ratios are of, and the peer that they are against.
OURS = {ONE_THREAD: "joinery_task", TWO_WORKERS: "joinery_task_runtime"}
TOKIO = {ONE_THREAD: "tokio", TWO_WORKERS: "tokio_multi"}
