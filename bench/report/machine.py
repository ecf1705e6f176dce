"""What the figures were measured on, and what built the programs."""

import os
import platform
import re
import subprocess
from pathlib import Path


def _first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "none"
    return (done.stdout.strip().splitlines() or ["unknown"])[0]


def _found(pattern, path):
    path = Path(path)
    match = re.search(pattern, path.read_text(), re.MULTILINE) if path.exists() else None
    return match.group(1) if match else "unknown"


def describe(directory):
    cache = directory.parent / "CMakeCache.txt"
    compiler = _found(r"^CMAKE_CXX_COMPILER:[A-Z]+=(.*)$", cache)
    flags = _found(r"^CMAKE_CXX_FLAGS_RELEASE:[A-Z]+=(.*)$", cache)
    boost = _found(r'^#define BOOST_LIB_VERSION "(.*)"', "/usr/include/boost/version.hpp")
    return {
        "processor": f"{_found(r'^model name.*: (.*)$', '/proc/cpuinfo')}, {os.cpu_count()} cores",
        "system": _found(r'^PRETTY_NAME="(.*)"', "/etc/os-release") + f", {platform.machine()}",
        "C++": f"{_first_line(compiler, '--version')}, `{flags}`; Boost {boost.replace('_', '.')}",
        "Rust": _first_line("rustc", "--version") + ", `opt-level=3`, fat LTO, one codegen unit",
    }
