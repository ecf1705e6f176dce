"""Runs the subjects in turn, round after round, until the time is up; called by scripts/bench.

Within a round each workload with each number of tasks is given to one subject after the other, so that what the machine
does besides troubles all of them alike. The first round is always finished; after it, what no longer fits into the time is
left out.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import machine
from measurements import Measurements
from subjects import SIZES, SUBJECTS, WORKLOADS

TIMEOUT = 120  # seconds for one process


def run_once(command):
    """One process: its line of JSON, or why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, f"not done after {TIMEOUT} s"
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return json.loads(done.stdout), None


class Plan:
    """What is to be measured, and by whom."""

    def __init__(self, options):
        self._directory = options.programs
        chosen = options.subjects.split(",") if options.subjects else [s.name for s in SUBJECTS]
        self._subjects = [s for s in SUBJECTS if s.name in chosen and (self._directory / s.command[0]).exists()]
        self._offered = {s.name: self._offers(s) for s in self._subjects}
        sizes = [int(n) for n in options.sizes.split(",")] if options.sizes else list(SIZES)
        rounds = {n: options.rounds or max(s.rounds("spawn_join", n) for s in self._subjects) for n in sizes}
        # The first round of all; then what takes little time, for it gains most from it.
        self.passes = [(number, n) for n in sizes for number in range(rounds[n])]
        self.passes.sort(key=lambda a_pass: (a_pass[0] != 0, a_pass[0] != 0 and a_pass[1] > 100_000, *a_pass))
        self.workloads = options.workloads.split(",") if options.workloads else WORKLOADS

    def command(self, subject):
        return [str(self._directory / subject.command[0]), *subject.command[1:]]

    def taking_part(self, workload, n, number):
        return [s for s in self._subjects if workload in self._offered[s.name] and number < s.rounds(workload, n)]

    def _offers(self, subject):
        return subprocess.run(self.command(subject), check=True, capture_output=True, text=True).stdout.split()


def measure_cell(plan, measurements, workload, n, number):
    for subject in plan.taking_part(workload, n, number):
        if (subject.name, workload, n) in measurements.failed():
            continue
        line, why = run_once([*plan.command(subject), workload, str(n), str(subject.passes(n))])
        if line:
            measurements.add(subject.name, workload, n, line)
        else:
            measurements.fail(subject.name, workload, n, why)
            print(f"   {subject.name}, {workload} with {n} tasks: {why}", file=sys.stderr)


def measure(plan, minutes, measurements):
    started = time.monotonic()
    took = {}
    for number, n in plan.passes:
        for workload in plan.workloads:
            begun = time.monotonic()
            if number != 0 and begun - started + took[workload, n] > 60 * minutes:
                continue
            measure_cell(plan, measurements, workload, n, number)
            took[workload, n] = time.monotonic() - begun
        elapsed = time.monotonic() - started
        print(f"   round {number + 1} of {SIZES.get(n, n)}: {elapsed:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=Path, help="the directory in which they are")
    parser.add_argument("output", type=Path, help="the file of measurements to write")
    parser.add_argument("--minutes", type=float, default=10, help="when they are over, nothing more is begun")
    parser.add_argument("--rounds", type=int, help="at most")
    parser.add_argument("--sizes", help="numbers of tasks out of 1000, 100000, 1000000, 10000000, with commas between them")
    parser.add_argument("--workloads", help="these only, likewise")
    parser.add_argument("--subjects", help="these only, likewise")
    options = parser.parse_args()

    measurements = Measurements(machine.describe(options.programs))
    measure(Plan(options), options.minutes, measurements)
    measurements.save(options.output)
    if measurements.failed():
        sys.exit(1)


if __name__ == "__main__":
    main()
