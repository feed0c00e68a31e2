"""Prints figures as Markdown, with the machine they come from."""

import os
import platform
import statistics
import subprocess
from pathlib import Path

from . import setup

MIB = 1024 * 1024


def spread(values, digits=1):
    """`min / median / max` of some runs."""
    three = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{value:.{digits}f}" for value in three)


def show(title, header, rows):
    """One table on standard output."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def first_line(*command, cwd=None):
    """What a command says first, or a dash."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "–"


def cpu_model():
    """The processor's name as the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def show_machine():
    """Where and with what the following figures were measured."""
    commit = first_line("git", "describe", "--always", "--dirty", cwd=setup.ROOT)
    print(f"pixmill {commit} · {cpu_model()}, {os.cpu_count()} cores · Linux {platform.release()} · Node {first_line('node', '--version')}", flush=True)
