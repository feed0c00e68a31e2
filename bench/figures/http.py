"""The HTTP API: an upload beside `pixmill run`'s own intake, status reads, and what watchers cost.

- A catalogue of a million rows is uploaded to `pixmill serve --role api`; the same file is taken in by
  `pixmill run` in the same run.
- `wrk` reads the status of a request whose images are worked on at `--concurrency 1` meanwhile.
- A thousand clients watch that request by server-sent events.
"""

import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import catalogue, intake, measured, setup, table
from .server import Server
from .services import Services

WATCH_SECONDS = 10
PICTURES = setup.ROOT / "examples" / "pictures"


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the uploaded catalogue")
    parser.add_argument("--images", type=int, default=100_000, help="images of the request whose status is read")
    parser.add_argument("--watchers", type=int, default=1_000, help="clients that watch it")
    parser.add_argument("--seconds", type=int, default=20, help="how long the status is read")
    parser.add_argument("--readers", type=int, default=32, help="connections that read it")
    parser.add_argument("--repeat", type=int, default=3, help="uploads")


def uploads(binary, args):
    """Uploads and intakes in turn: rows a second of both, and the server's peak memory in bytes."""
    over_http, own, peaks = [], [], []
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        csv = catalogue.of_rows(Path(folder) / "rows.csv", args.rows)
        for _ in range(args.repeat):
            with Server(binary, "--role", "api") as server:
                sampler = measured.Sampler(server.process.pid)
                sampler.start()
                began = time.monotonic()
                _, images = server.upload(csv)
                over_http.append(images / (time.monotonic() - began))
                peaks.append(sampler.stop())
            own.append(intake.take_in(binary, csv, args.rows)[0])
            setup.say(f"  {over_http[-1]:.0f} rows/s over HTTP, {own[-1]:.0f} rows/s by `pixmill run`")
    return over_http, own, peaks


def show_uploads(binary, args):
    """The table of uploads."""
    over_http, own, peaks = uploads(binary, args)
    longer = [b / a for a, b in zip(over_http, own, strict=True)]
    table.show(
        f"{args.rows:,} rows uploaded as CSV, {args.repeat} runs: min / median / max",
        ["measure", "value"],
        [
            ["rows/s over HTTP, until 202", table.spread(over_http, 0)],
            ["rows/s of `pixmill run`'s own intake", table.spread(own, 0)],
            ["**an upload takes as long as that, times**", table.spread(longer, 2)],
            ["peak RSS of the server, MiB", table.spread([peak / table.MIB for peak in peaks], 0)],
        ],
    )


def read_status(server, request, args):
    """`wrk` on a request's status: requests a second, p50 and p99 in milliseconds."""
    url = f"http://127.0.0.1:{server.port}/v1/requests/{request}"
    command = [setup.find("wrk"), "-t1", f"-c{args.readers}", f"-d{args.seconds}", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"bench: not every status was read:\n{said}")
    unit = {"us": 0.001, "ms": 1, "s": 1000}
    times = [float(number) * unit[of] for number, of in (re.search(rf"{share}%\s+([\d.]+)(us|ms|s)", said).groups() for share in (50, 99))]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), *times


def watch(server, request, args):
    """Opens all watchers; what they add to the server's memory at most, in bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(args.watchers + 100, soft), hard))
    before = measured.resident_bytes(server.process.pid)
    asked = f"GET /v1/requests/{request}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
    watchers = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(args.watchers)]
    for watcher in watchers:
        watcher.sendall(asked)
    for watcher in watchers:
        if not watcher.recv(4096).startswith(b"HTTP/1.1 200"):
            sys.exit("bench: a watcher was refused")
    sampler = measured.Sampler(server.process.pid)
    sampler.start()
    heard, until = 0, time.monotonic() + WATCH_SECONDS
    for watcher in watchers:
        watcher.settimeout(0)
    while time.monotonic() < until:
        for watcher in watchers:
            try:
                heard += watcher.recv(1 << 16).count(b"\n\n")
            except BlockingIOError:
                continue
        time.sleep(0.05)
    peak = sampler.stop()
    for watcher in watchers:
        watcher.close()
    return peak - before, heard / args.watchers


def show_reads(binary, args):
    """The table of status reads and watchers."""
    with Services() as services, tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        csv = catalogue.over_pictures(Path(folder) / "work.csv", PICTURES, services.origin(PICTURES), args.images)
        with Server(binary, "--allow-address", "127.0.0.0/8", "--per-origin", "64", "--concurrency", "1") as server:
            request, _ = server.upload(csv)
            before, began = server.completed(request), time.monotonic()
            rate, median, late = read_status(server, request, args)
            worked = (server.completed(request) - before) / (time.monotonic() - began)
            cost, heard = watch(server, request, args)
    table.show(
        f"A request of {args.images:,} images, worked on at --concurrency 1",
        ["measure", "value"],
        [
            [f"status reads/s by wrk, {args.readers} connections", f"{rate:.0f}"],
            ["p50 / p99, ms", f"{median:.1f} / {late:.1f}"],
            ["images/s completed meanwhile", f"{worked:.0f}"],
            [f"RSS that {args.watchers:,} watchers add, MiB", f"{cost / table.MIB:.0f}"],
            [f"events each of them heard in {WATCH_SECONDS} s", f"{heard:.0f}"],
        ],
    )


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    setup.install([] if setup.find("wrk") else ["wrk"])
    show_uploads(binary, args)
    show_reads(binary, args)
