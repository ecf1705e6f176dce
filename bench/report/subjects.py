"""Who takes part, and how far each goes."""

from dataclasses import dataclass, field

ONE_THREAD = "one thread"
TWO_WORKERS = "two workers"
GROUPS = (ONE_THREAD, TWO_WORKERS)

SIZES = (1_000, 100_000, 1_000_000)
HUGE = 10_000_000
HUGE_WORKLOADS = ("spawn_join", "steady")

WORKLOADS = (
    "spawn_join", "steady", "yield1", "yield10", "replace", "pending_spawn", "abort_all", "abort_key",
    "abort_matching", "contains_hit", "contains_miss", "string_keys", "drop", "blocking", "timer",
)


@dataclass(frozen=True)
class Subject:
    name: str
    label: str
    group: str
    command: tuple  # the program, and what comes before the workload
    largest: int = HUGE
    largest_of: dict = field(default_factory=dict, hash=False)  # for workloads where less must do
    passes: int = 50  # of the smallest n in one process

    def repeats(self, n):
        """Timed passes in one process: short ones are repeated, for a median of their own."""
        return self.passes if n <= 1_000 else 3 if n <= 100_000 else 1

    def takes(self, workload, n):
        return n <= self.largest_of.get(workload, self.largest)


# A blocking function costs tokio and a thread of its own microseconds: a million of them would take the time of all else.
_SLOW = {"blocking": 100_000}
# Its 10 million tasks take more memory than a common machine has.
_BY_HAND = {"spawn_join": 1_000_000, **_SLOW}

SUBJECTS = (
    Subject("floor", "floor", ONE_THREAD, ("bench_floor",)),
    Subject("joinery_task", "joinery, `task`", ONE_THREAD, ("bench_joinery_task",)),
    Subject("joinery_awaitable", "joinery, `awaitable`", ONE_THREAD, ("bench_joinery_awaitable",), largest_of=_BY_HAND),
    Subject("asio", "Asio by hand", ONE_THREAD, ("bench_asio_one_thread",), largest_of=_BY_HAND),
    Subject("tokio", "tokio", ONE_THREAD, ("bench_tokio", "current"), largest_of=_SLOW),
    Subject("tokio_util", "tokio-util", ONE_THREAD, ("bench_tokio_util", "current"), largest_of=_SLOW),
    Subject("joinery_task_runtime", "joinery `runtime`, `task`", TWO_WORKERS, ("bench_joinery_task_runtime",)),
    Subject("joinery_awaitable_runtime", "joinery `runtime`, `awaitable`", TWO_WORKERS,
            ("bench_joinery_awaitable_runtime",), largest_of=_BY_HAND),
    Subject("joinery_task_thread_pool", "joinery on `thread_pool`, `task`", TWO_WORKERS,
            ("bench_joinery_task_thread_pool",), largest_of=_BY_HAND),
    Subject("joinery_awaitable_thread_pool", "joinery on `thread_pool`, `awaitable`", TWO_WORKERS,
            ("bench_joinery_awaitable_thread_pool",), largest_of=_BY_HAND),
    Subject("asio_thread_pool", "Asio by hand", TWO_WORKERS, ("bench_asio_thread_pool",), largest_of=_BY_HAND),
    Subject("tokio_multi", "tokio", TWO_WORKERS, ("bench_tokio", "multi2"), largest_of=_SLOW),
    Subject("tokio_util_multi", "tokio-util", TWO_WORKERS, ("bench_tokio_util", "multi2"), largest_of=_SLOW),
    Subject("onetbb", "oneTBB `task_group`", TWO_WORKERS, ("bench_onetbb",), largest=1_000_000),
    Subject("standard_async", "`std::async`", TWO_WORKERS, ("bench_standard_async",), largest=1_000, passes=3),
)

# The peer that the ratios are against.
TOKIO = {ONE_THREAD: "tokio", TWO_WORKERS: "tokio_multi"}


def sizes_of(workload):
    return SIZES + (HUGE,) if workload in HUGE_WORKLOADS else SIZES


def readable(n):
    return {1_000: "1k", 100_000: "100k", 1_000_000: "1M", 10_000_000: "10M"}.get(n, f"{n:,}")
