"""A million images are queued, and Redis holds a window of them.

A catalogue is uploaded to `pixmill serve --role api`, which feeds the queue for workers that
are not there, so that the window stays as full as it gets.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from . import catalogue, setup, table
from .server import Server
from .services import Services

FILL_SECONDS = 120
SETTLED_SECONDS = 5


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the catalogue, one URL each")


def redis(url, *words):
    """What Redis answers to a command."""
    return subprocess.run(["redis-cli", "-u", url, "--raw", *words], capture_output=True, text=True, check=True).stdout


def used_bytes(url):
    """Memory that Redis has given to data."""
    return next(int(line.split(":")[1]) for line in redis(url, "INFO", "memory").splitlines() if line.startswith("used_memory:"))


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    with Services() as services, tempfile.TemporaryDirectory(prefix="pixmill-bench-window-") as folder:
        url = services.redis()
        csv = catalogue.of_rows(Path(folder) / "many.csv", args.rows)
        with Server(binary, "--role", "api", env={"REDIS_URL": url}) as server:
            before, (_, images) = used_bytes(url), server.upload(csv)
            waiting, most, until, filled = 0, 0, time.monotonic() + FILL_SECONDS, None
            while time.monotonic() < until and (filled is None or time.monotonic() < filled + SETTLED_SECONDS):
                now = int(redis(url, "LLEN", "bull:image-processing:wait"))
                if now > waiting:
                    waiting, filled = now, time.monotonic()
                most = max(most, used_bytes(url))
                time.sleep(0.1)
    table.show(
        "Images queued, and what of them is in Redis",
        ["images queued", "jobs in Redis at most", "memory of Redis before, MiB", "at most, MiB"],
        [[images, waiting, f"{before / table.MIB:.1f}", f"{most / table.MIB:.1f}"]],
    )
