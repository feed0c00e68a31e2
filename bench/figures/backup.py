"""A backup of a million images beside a server that goes on taking requests in.

A catalogue of a million rows is uploaded to `pixmill serve --role api`. Then requests of ten rows are handed in
one after the other, each of which is durable when it is answered, first with nothing beside, then while
`pixmill backup` runs. Measured are the seconds of the backup, of verifying and of restoring it, its peak memory,
and how long the slowest hand-in took.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import catalogue, measured, setup, table
from .server import Server

ALONE_SECONDS = 5


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="images in the records")
    parser.add_argument("--repeat", type=int, default=3, help="backups")


class Writer(threading.Thread):
    """Hands small requests in until it is told to stop, and times each."""

    def __init__(self, server, csv):
        super().__init__(daemon=True)
        self.server, self.csv = server, csv
        self.waits, self.stopped = [], threading.Event()

    def run(self):
        """One hand-in after the other."""
        while not self.stopped.is_set():
            began = time.monotonic()
            self.server.upload(self.csv)
            self.waits.append(time.monotonic() - began)

    def stop(self):
        """How long each took, seconds."""
        self.stopped.set()
        self.join()
        return self.waits


def command(binary, *arguments):
    """A command that must do its work: its figures."""
    result = measured.run([binary, *arguments])
    if result.code != 0:
        sys.exit(f"bench: pixmill {arguments[0]} failed: {result.lines}")
    return result


def once(binary, server, data, small, folder):
    """One backup beside a writer, looked through and restored: waits before and meanwhile, and figures of each."""
    writer = Writer(server, small)
    writer.start()
    time.sleep(ALONE_SECONDS)
    alone = writer.stop()
    writer = Writer(server, small)
    writer.start()
    backup = command(binary, "backup", folder / "backup.tar", "--data", data)
    beside = writer.stop()
    verify = command(binary, "backup", "verify", folder / "backup.tar")
    restore = command(binary, "restore", folder / "backup.tar", "--data", folder / "restored")
    subprocess.run(["rm", "-rf", folder / "restored"], check=True)
    return alone, beside, backup, verify, restore


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-backup-") as name:
        folder = Path(name)
        data, small = folder / "data", catalogue.of_rows(folder / "small.csv", 10)
        with Server(binary, "--role", "api", data=data) as server:
            server.upload(catalogue.of_rows(folder / "rows.csv", args.rows))
            rounds = [once(binary, server, data, small, folder) for _ in range(args.repeat)]
        size = (folder / "backup.tar").stat().st_size
    alone, beside, backups, verified, restored = zip(*rounds, strict=True)
    milliseconds = lambda waits: table.spread([max(each) * 1000 for each in waits], 0)  # noqa: E731
    pace = lambda waits, seconds: table.spread([len(each) / s for each, s in zip(waits, seconds, strict=True)], 0)  # noqa: E731
    table.show(
        f"A backup of {args.rows:,} images ({size / 1e6:.0f} MB), {args.repeat} runs: min / median / max",
        ["measure", "value"],
        [
            ["seconds of `pixmill backup` beside a server that takes requests in", table.spread([b.seconds for b in backups])],
            ["its peak RSS, MiB", table.spread([b.peak_bytes / table.MIB for b in backups], 0)],
            ["slowest hand-in meanwhile, ms", milliseconds(beside)],
            ["slowest hand-in with nothing beside, ms", milliseconds(alone)],
            ["hand-ins a second meanwhile", pace(beside, [b.seconds for b in backups])],
            ["hand-ins a second with nothing beside", pace(alone, [ALONE_SECONDS] * args.repeat)],
            ["seconds of `pixmill backup verify`", table.spread([v.seconds for v in verified])],
            ["seconds of `pixmill restore`", table.spread([r.seconds for r in restored])],
        ],
    )
