"""Runs every workload that a subject offers, with few tasks: smoke.py <program> [argument...]"""

import json
import subprocess
import sys

program = sys.argv[1:]
offered = subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()
for workload in offered:
    run = subprocess.run([*program, workload, "300", "2"], check=True, capture_output=True, text=True)
    measured = json.loads(run.stdout)
    assert measured["workload"] == workload and measured["n"] == 300 and len(measured["ns"]) == 2, run.stdout
assert "spawn_join" in offered, offered
