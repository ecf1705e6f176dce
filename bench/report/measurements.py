"""What was measured: for each subject, workload and n, one median a round."""

import json
from statistics import median


FIGURES = ("allocations", "bytes", "peak")


class Measurements:
    def __init__(self, machine):
        self.machine = machine  # what it ran on, and what built it: lines of text by name
        self.cells = {}

    def add(self, subject, workload, n, line):
        cell = self._cell(subject, workload, n)
        cell["ns"].append(median(line["ns"]))
        for figure in FIGURES:
            cell[figure].append(line[figure])

    def fail(self, subject, workload, n, why):
        self._cell(subject, workload, n)["failed"] = why

    def failed(self):
        return {key: cell["failed"] for key, cell in self.cells.items() if "failed" in cell}

    def has(self, subject, workload=None, n=None):
        return any(
            cell["ns"] and key[0] == subject and workload in (None, key[1]) and n in (None, key[2])
            for key, cell in self.cells.items()
        )

    def _cell(self, *key):
        return self.cells.setdefault(key, {figure: [] for figure in ("ns", *FIGURES)})

    def median(self, what, subject, workload, n):
        values = self.cells.get((subject, workload, n), {}).get(what)
        return median(values) if values else None

    def ns(self, subject, workload, n):
        return self.median("ns", subject, workload, n)

    def ratio(self, peer, subject, workload, n):
        """How many times as long the peer takes: the median over the rounds, in each of which they ran in turn."""
        theirs = self.cells.get((peer, workload, n), {}).get("ns", [])
        ours = self.cells.get((subject, workload, n), {}).get("ns", [])
        ratios = [their / our for their, our in zip(theirs, ours)]
        return median(ratios) if ratios else None

    def save(self, path):
        cells = [{"subject": s, "workload": w, "n": n, **cell} for (s, w, n), cell in self.cells.items()]
        path.write_text(json.dumps({"machine": self.machine, "cells": cells}, indent=1))

    @classmethod
    def load(cls, path):
        saved = json.loads(path.read_text())
        measurements = cls(saved["machine"])
        for cell in saved["cells"]:
            measurements.cells[cell.pop("subject"), cell.pop("workload"), cell.pop("n")] = cell
        return measurements
