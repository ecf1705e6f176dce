"""Draws the measurements: the ratio to tokio for each workload, and the cost of a task against the number of tasks."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "joinery"  # the same drawing for the same figures
from matplotlib import pyplot, ticker  # noqa: E402

from subjects import GROUPS, HUGE, SIZES, SUBJECTS, TOKIO, WORKLOADS

RATIO_AT = 100_000


def _plain(label):
    return label.replace("`", "")


def _save(figure, directory, name):
    figure.savefig(directory / name, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(figure)


def _draw_ratios(measurements, group, directory):
    tokio = TOKIO[group]
    shown = [s for s in SUBJECTS if s.group == group and s.name not in (tokio, "floor", "standard_async")]
    shown = [s for s in shown if any(measurements.ratio(tokio, s.name, w, RATIO_AT) for w in WORKLOADS)]
    if not shown:
        return None
    figure, axes = pyplot.subplots(figsize=(7, 7))
    height = 0.8 / len(shown)
    for place, subject in enumerate(shown):
        # From 1 on, so that on the logarithmic axis twice as fast is as long as twice as slow.
        lengths = [(measurements.ratio(tokio, subject.name, w, RATIO_AT) or float("nan")) - 1 for w in WORKLOADS]
        rows = [row + place * height for row in range(len(WORKLOADS))]
        axes.barh(rows, lengths, height, left=1, label=_plain(subject.label))
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.grid(True, axis="x", linewidth=0.3)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(WORKLOADS))], WORKLOADS)
    axes.invert_yaxis()
    axes.set_xlabel(f"times as fast as tokio, {SIZES[RATIO_AT]} tasks (right of the line: faster)")
    axes.set_title(group.capitalize())
    axes.legend(fontsize="small")
    _save(figure, directory, name := f"ratio_{group.replace(' ', '_')}.svg")
    return f"{group}: speed as a multiple of tokio's, for each workload", name


def _draw_cost(measurements, group, workload, directory):
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for subject in SUBJECTS:
        points = [(n, measurements.ns(subject.name, workload, n)) for n in SIZES]
        points = [(n, ns) for n, ns in points if ns is not None]
        if subject.group == group and len(points) > 1:
            axes.plot(*zip(*points), marker="o", markersize=4, label=_plain(subject.label))
    if not axes.lines:
        pyplot.close(figure)
        return None
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.set_xlabel("tasks")
    axes.set_ylabel("ns for each task")
    axes.set_title(f"{workload}, {group}")
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize="small")
    _save(figure, directory, name := f"{workload}_{group.replace(' ', '_')}.svg")
    return f"{workload}, {group}: cost of a task against the number of tasks", name


def draw(measurements, directory):
    """The titles and file names of what was drawn, by group."""
    drawn = {}
    for group in GROUPS:
        files = [_draw_ratios(measurements, group, directory)]
        files += [_draw_cost(measurements, group, workload, directory) for workload in HUGE]
        drawn[group] = [file for file in files if file]
    return drawn
