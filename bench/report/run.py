"""Runs the subjects in turn, round after round, until the time is up; called by scripts/bench.

Within a round each workload at each n is given to one subject after the other, so that what the machine does besides
troubles all of them alike. The first round is always finished. After it, what no longer fits into the time is left out:
so small n get many rounds, and a million tasks a few.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import machine
from measurements import Measurements
from subjects import SIZES, SUBJECTS, WORKLOADS, sizes_of

ROUNDS = 9
TIMEOUT = 120  # seconds for one process


def run_once(program, arguments):
    """One process: its line of JSON, or why there is none."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, f"not done after {TIMEOUT} s"
    if done.returncode != 0:
        return None, (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return json.loads(done.stdout), None


class Plan:
    """The cells that are to be measured, and which subjects take part in each."""

    def __init__(self, directory, options):
        self.subjects = [s for s in SUBJECTS if (directory / s.command[0]).exists()]
        if options.subjects:
            self.subjects = [s for s in self.subjects if s.name in options.subjects.split(",")]
        self.directory = directory
        self.offered = {s.name: set(self._list(s)) for s in self.subjects}
        workloads = options.workloads.split(",") if options.workloads else WORKLOADS
        self.cells = [(w, n) for w in workloads for n in ([SIZES[0]] if options.quick else sizes_of(w))]
        self.cells.sort(key=lambda cell: cell[1])

    def command(self, subject):
        return [str(self.directory / subject.command[0]), *subject.command[1:]]

    def _list(self, subject):
        return subprocess.run(self.command(subject), check=True, capture_output=True, text=True).stdout.split()

    def taking_part(self, workload, n):
        return [s for s in self.subjects if workload in self.offered[s.name] and s.takes(workload, n)]


def measure(plan, minutes, rounds, measurements):
    started = time.monotonic()
    took = {}
    for number in range(rounds):
        for workload, n in plan.cells:
            begun = time.monotonic()
            if number != 0 and begun - started + took[workload, n] > 60 * minutes:
                continue
            for subject in plan.taking_part(workload, n):
                if (subject.name, workload, n) in measurements.failed():
                    continue
                command = plan.command(subject)
                line, why = run_once(command[0], [*command[1:], workload, str(n), str(subject.repeats(n))])
                if line:
                    measurements.add(subject.name, workload, n, line)
                else:
                    measurements.fail(subject.name, workload, n, why)
                    print(f"   {subject.name}, {workload} of {n}: {why}", file=sys.stderr)
            took[workload, n] = time.monotonic() - begun
        print(f"   round {number + 1} of {rounds}: {time.monotonic() - started:.0f} s", flush=True)
        if time.monotonic() - started > 60 * minutes:
            break


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where the programs are")
    parser.add_argument("output", type=Path, help="the file of measurements to write")
    parser.add_argument("--quick", action="store_true", help="one round, with the smallest n only")
    parser.add_argument("--minutes", type=float, default=11, help="after which no further round is begun")
    parser.add_argument("--workloads", help="these only, with commas between them")
    parser.add_argument("--subjects", help="likewise")
    options = parser.parse_args()

    plan = Plan(options.directory, options)
    measurements = Measurements(machine.describe(options.directory))
    measure(plan, options.minutes, 1 if options.quick else ROUNDS, measurements)
    measurements.save(options.output)
    if measurements.failed():
        sys.exit(1)


if __name__ == "__main__":
    main()
