"""What an image costs besides recompression, among 16,000 rows and among 1,000,000.

Runs `cargo bench -p pixmill-adapters --bench overhead`: the whole of `pixmill run` with a
codec that returns its input, against an origin in a process of its own.
"""

import subprocess
import sys

from . import setup


def add_arguments(parser):
    """Nothing: the bench has its own rounds."""
    del parser


def run(args):
    """Builds and runs the bench, whose lines are the figures."""
    del args
    command = ["cargo", "bench", "--locked", "-p", "pixmill-adapters", "--bench", "overhead"]
    setup.say("  building and running the bench")
    if subprocess.run(command, cwd=setup.ROOT).returncode:
        sys.exit("bench: overhead failed")
