"""Counts the instructions for each task in the main workloads, and compares them with recorded.txt.

They hardly depend on what else the machine does, nor on how fast it is. Over 5 per cent more is a failure. They do depend
on the compiler and on Boost: with others than were recorded there is nothing to compare, and the test counts as skipped.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

RECORDED = Path(__file__).with_name("recorded.txt")
TOLERANCE = 0.05
SKIPPED = 77  # as CMake's SKIP_RETURN_CODE
TASKS = 5_000
PASSES = 2  # one to warm up, and one that the program times

MEASURED = [
    *(("joinery_task", workload) for workload in (
        "spawn_join", "steady", "yield10", "replace", "pending_spawn", "abort_all", "abort_key", "abort_matching",
        "contains_hit", "string_keys", "drop")),
    *(("joinery_awaitable", workload) for workload in ("spawn_join", "steady", "pending_spawn")),
]


def count(options, subject, workload):
    """Instructions for each task, and the file with their profile."""
    profile = options.output / f"{subject}.{workload}.callgrind"
    profile.unlink(missing_ok=True)
    # What is counted is what is timed: see bench/harness/measurement.hpp.
    subprocess.run(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={profile}",
         str(options.programs / f"bench_{subject}"), workload, str(TASKS), str(PASSES - 1)],
        check=True, capture_output=True)
    total = re.search(r"^(?:summary|totals): (\d+)$", profile.read_text(), re.MULTILINE)
    if not total:
        sys.exit(f"{profile}: no sum of instructions; was the program built without valgrind's headers?")
    return int(total.group(1)) / (PASSES * TASKS), profile


def read_recorded():
    """What the recorded figures were built with, and the figures."""
    built_with, figures = None, {}
    for line in RECORDED.read_text().splitlines():
        if line.startswith("built with: "):
            built_with = line.removeprefix("built with: ")
        elif line and not line.startswith("#"):
            subject, workload, figure = line.split()
            figures[subject, workload] = float(figure)
    return built_with, figures


def record(options):
    lines = ["# Instructions for each task, as bench/instructions/check.py --record has written them.",
             f"built with: {options.built_with}"]
    for subject, workload in MEASURED:
        figure, _ = count(options, subject, workload)
        lines.append(f"{subject} {workload} {figure:.1f}")
        print(lines[-1], flush=True)
    RECORDED.write_text("\n".join(lines) + "\n")


def compare(options):
    built_with, figures = read_recorded()
    if built_with != options.built_with:
        print(f"skipped: built with {options.built_with}; the figures were recorded with {built_with}")
        return SKIPPED

    worse = better = False
    for subject, workload in MEASURED:
        figure, profile = count(options, subject, workload)
        before = figures.get((subject, workload))
        if before is None:
            print(f"{subject} {workload}: {figure:.1f} instructions for each task, and none are recorded")
            worse = True
            continue
        change = figure / before - 1
        print(f"{subject} {workload}: {figure:.1f} instructions for each task, {before:.1f} recorded ({change:+.1%})")
        if change > TOLERANCE:
            worse = True
            print(f"    More than {TOLERANCE:.0%} worse. To see where they go:\n"
                  f"    callgrind_annotate --inclusive=yes {profile} | head -n 60")
        better = better or change < -TOLERANCE
    if worse:
        print(f"If that is meant to be, record the figures anew, and say why in the commit:\n    {options.record_with}")
    elif better:
        print(f"Something got more than {TOLERANCE:.0%} better. Keep it so:\n    {options.record_with}")
    return 1 if worse else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=Path, required=True, help="the directory in which they are")
    parser.add_argument("--output", type=Path, required=True, help="where the profiles go")
    parser.add_argument("--built-with", required=True, help="the compiler and Boost")
    parser.add_argument("--record-with", required=True, help="the command that records, for the messages")
    parser.add_argument("--record", action="store_true", help="write the figures instead of comparing with them")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.record:
        record(options)
        return 0
    return compare(options)


if __name__ == "__main__":
    sys.exit(main())
