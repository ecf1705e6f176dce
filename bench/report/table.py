"""Writes the measurements as tables in Markdown."""

import targets
from subjects import GROUPS, OURS, SIZES, SUBJECTS, TOKIO, WORKLOADS


def _number(value):
    if value is None:
        return ""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def _ratio(value):
    return "" if value is None else f"{value:.1f}"


def _table(heads, rows):
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "|".join(["---"] + ["---:"] * (len(heads) - 1)) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def _times(measurements, group, present):
    ours, tokio = OURS[group], TOKIO[group]
    heads = ["workload", "tasks", *(s.label for s in present), "tokio ÷ joinery"]
    rows = []
    for workload in WORKLOADS:
        for n in SIZES:
            times = [_number(measurements.ns(s.name, workload, n)) for s in present]
            if any(times):
                rows.append([f"`{workload}`", SIZES[n], *times, _ratio(measurements.ratio(tokio, ours, workload, n))])
    return _table(heads, rows)


def _memory(measurements, present):
    rows = []
    for subject in present:
        if measurements.has(subject.name, "pending_spawn"):
            largest = max(n for n in SIZES if measurements.has(subject.name, "pending_spawn", n))
            rows.append([
                f"{subject.label}, {subject.group}",
                SIZES[largest],
                _number(measurements.median("bytes", subject.name, "pending_spawn", largest)),
                _number(measurements.median("allocations", subject.name, "pending_spawn", largest)),
                _number(measurements.median("allocations", subject.name, "steady", largest)),
            ])
    return _table(["subject", "tasks", "bytes of a pending task", "allocations for it", "allocations in `steady`"], rows)


def _targets(measurements):
    rows = list(targets.rows(measurements))
    yield "## What is to be reached"
    yield ""
    yield f"{sum(row.met for row in rows)} of {len(rows)} met. A ratio counts with its worst number of tasks."
    yield ""
    yield from _table(["what", "wanted", "measured", ""], [row.cells for row in rows])


def write(measurements, path, plots, with_targets):
    present = [s for s in SUBJECTS if measurements.has(s.name)]
    lines = ["# Results", "", "Written by `scripts/bench`. [What they mean](../performance.md).", ""]
    lines += [f"- {name}: {text}" for name, text in measurements.machine.items()]
    for group in GROUPS:
        in_group = [s for s in present if s.group == group]
        if not in_group:
            continue
        lines += ["", f"## {group.capitalize()}", "", "Nanoseconds for each task; the last column is a ratio.", ""]
        lines += _times(measurements, group, in_group)
        lines += [f"![{title}]({file})" for title, file in plots.get(group, ())]
    lines += ["", "## Memory", "", *_memory(measurements, present)]
    if with_targets:
        lines += _targets(measurements)
    for (subject, workload, n), why in measurements.failed().items():
        lines += [f"- {subject} failed in `{workload}` of {n}: {why}"]
    path.write_text("\n".join(lines).rstrip() + "\n")
