"""What joinery is to reach, and whether the measurements show it."""

from subjects import GROUPS, ONE_THREAD, OURS, SIZES, SUBJECTS, TWO_WORKERS, WORKLOADS

GIB = 1 << 30

# The workloads for which a target of their own takes the place of that for each workload.
SPECIAL = ("steady", "blocking", "timer")
# Those in which it is the tasks that take the time, whatever they are written as.
OF_TASKS = [w for w in WORKLOADS if w not in ("contains_hit", "contains_miss", "blocking")]

# against, group -> the ratio that each workload is to reach: with a thousand tasks, from 100k on, and that of `steady`
EACH = {
    ("tokio", ONE_THREAD): (3, 4, 6),
    ("tokio_util", ONE_THREAD): (5, 5, 10),
    ("tokio_multi", TWO_WORKERS): (2, 3, 4),
    ("tokio_util_multi", TWO_WORKERS): (3, 3, 6),
}
LABELS = {subject.name: subject.label for subject in SUBJECTS}


class Row:
    """One target: what is measured, the value that is wanted, at least or at most, and the one that there is."""

    def __init__(self, what, wanted, value, at_most=False, unit=""):
        self.met = value <= wanted if at_most else value >= wanted
        word = "at most" if at_most else "at least"
        self.cells = (what, f"{word} {wanted:g}{unit}", f"{value:.3g}{unit}", "met" if self.met else "**missed**")


def _ratios(measurements, peer, ours, workloads, sizes, wanted, words):
    """A row for each workload, which counts with its worst size."""
    for workload in workloads:
        found = [(measurements.ratio(peer, ours, workload, n), n) for n in sizes]
        found = [(ratio, n) for ratio, n in found if ratio is not None]
        if found:
            worst, n = min(found)
            yield Row(f"`{workload}` of {SIZES[n]}, {words}", wanted, worst, unit=" ×")


def _each_workload(measurements):
    sizes = list(SIZES)
    for (peer, group), (small, large, steady) in EACH.items():
        ours, words = OURS[group], f"{group}, against {LABELS[peer]}"
        plain = [w for w in WORKLOADS if w not in SPECIAL]
        yield from _ratios(measurements, peer, ours, plain, sizes[:1], small, words)
        yield from _ratios(measurements, peer, ours, plain, sizes[1:], large, words)
        yield from _ratios(measurements, peer, ours, ["steady"], sizes, steady, words)
        yield from _ratios(measurements, peer, ours, ["blocking"], sizes, 10, words)
        yield from _ratios(measurements, peer, ours, ["timer"], sizes, 1.5, words)


def _against_asio(measurements):
    # At most 0.9 of its time, as a ratio.
    yield from _ratios(measurements, "asio", "joinery_awaitable", OF_TASKS, SIZES, 1.11,
                       "one thread, `awaitable` as work, against Asio by hand")
    yield from _ratios(measurements, "asio_thread_pool", "joinery_task_thread_pool", OF_TASKS, SIZES, 2,
                       "on a `thread_pool`, against Asio by hand with strands")


def _memory(measurements):
    for group in GROUPS:
        ours = OURS[group]
        if measurements.has(ours, "pending_spawn", 1_000_000):
            taken = measurements.median("bytes", ours, "pending_spawn", 1_000_000)
            yield Row(f"memory of a pending task, {group}", 170, taken, at_most=True, unit=" bytes")
        if measurements.has(ours, "pending_spawn", 100_000):
            blocks = measurements.median("allocations", ours, "pending_spawn", 100_000)
            yield Row(f"allocations for a pending task, {group}", 1, round(blocks, 2), at_most=True)
        if measurements.has(ours, "spawn_join", 10_000_000):
            peak = measurements.median("peak", ours, "spawn_join", 10_000_000) / GIB
            yield Row(f"peak of memory in `spawn_join` of 10M, {group}", 4, peak, at_most=True, unit=" GiB")


def _growth(measurements):
    ours = OURS[ONE_THREAD]
    small, large = (measurements.ns(ours, "spawn_join", n) for n in (1_000, 1_000_000))
    if small and large:
        yield Row("`spawn_join`, one thread: a task among 1M against one among 1k", 4, large / small, at_most=True, unit=" ×")
    for n in SIZES:
        floor = measurements.ratio(ours, "floor", "steady", n)
        if floor:
            yield Row(f"`steady` of {SIZES[n]}, one thread, against the floor", 1.5, floor, at_most=True, unit=" ×")


def rows(measurements):
    for part in (_each_workload, _against_asio, _memory, _growth):
        yield from part(measurements)
