"""Writes the tables and plots of measurements into a directory; called by scripts/bench."""

import argparse
from pathlib import Path

import plots
import table
from measurements import Measurements

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("measurements", type=Path)
parser.add_argument("directory", type=Path)
parser.add_argument("--targets", action="store_true", help="compare with what is to be reached")
options = parser.parse_args()

options.directory.mkdir(parents=True, exist_ok=True)
measurements = Measurements.load(options.measurements)
drawn = plots.draw(measurements, options.directory)
table.write(measurements, options.directory / "results.md", drawn, options.targets)
