"""Runs `pixmill run` and reads what it says in JSON."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from . import measured

LOOPBACK = ("--allow-address", "127.0.0.0/8")


def event(line, name):
    """The body of a JSON line `{"NAME": {…}}` or `{"type": "NAME", …}`, else None."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if isinstance(value.get(name), dict):
        return value[name]
    return value if value.get("type") == name else None


def run(binary, catalogue, *options, on_line=None):
    """Run a catalogue into a fresh folder, removed afterwards; gives back the measure."""
    output = Path(tempfile.mkdtemp(prefix="pixmill-bench-out-"))
    try:
        command = [binary, "run", catalogue, "--output", output, "--json", *options]
        return measured.run(command, on_line=on_line)
    finally:
        shutil.rmtree(output, ignore_errors=True)


def run_all(binary, catalogue, images, *options):
    """The same, ending the bench unless all `images` were completed; also the summary."""
    result = run(binary, catalogue, *options)
    summary = event(result.lines[-1], "summary") if result.lines else None
    if result.code != 0 or not summary or summary["completed"] != images:
        sys.exit(f"bench: pixmill ended with {result.code} and: {result.lines[-1:] or 'nothing'}")
    return result, summary
