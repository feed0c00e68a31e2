"""How fast a long catalogue becomes durable rows, and in how much memory.

`pixmill run --json` prints `accepted` once every row is durable; from there on it would
fetch, so it is killed on the spot. Nothing is ever connected to: the catalogue names a
loopback address, and none is allowed.
"""

import sys
import tempfile
from pathlib import Path

from . import catalogue, pixmill, setup, table


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the catalogue")
    parser.add_argument("--repeat", type=int, default=3, help="runs")


def take_in(binary, csv, rows):
    """One intake: rows a second, and peak bytes up to its end."""
    seen = {}

    def watch(line, process, sampler):
        accepted = pixmill.event(line, "accepted")
        if accepted and not seen:
            process.kill()
            seen.update(accepted, peak_bytes=sampler.peak_bytes)

    result = pixmill.run(binary, csv, on_line=watch)
    if seen.get("rows") != rows:
        sys.exit(f"bench: {rows} rows were not accepted: {seen or result.lines[-3:]}")
    return rows / seen["seconds"], rows / result.seconds, seen["peak_bytes"]


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        csv = catalogue.of_rows(Path(folder) / "rows.csv", args.rows)
        size = csv.stat().st_size
        runs = [take_in(binary, csv, args.rows) for _ in range(args.repeat)]
    inside, outside, peaks = zip(*runs, strict=True)
    table.show(
        f"Intake of {args.rows:,} rows ({size / 1e6:.0f} MB), {args.repeat} runs: min / median / max",
        ["measure", "value"],
        [
            ["rows/s, from the file's start to durable rows", table.spread(inside, 0)],
            ["rows/s, from the start of the process to its end", table.spread(outside, 0)],
            ["peak RSS, MiB", table.spread([peak / table.MIB for peak in peaks], 0)],
        ],
    )
