"""What a server costs beside years of history, and beside much that is open.

Records are planted in a server's folder: requests that ended, and open requests of one tenant whose
origin refuses connections, or never answers. Then it is measured

- how much of a core the server takes while nobody calls,
- how long `/metrics` takes,
- how long a request of ten images of another tenant takes, from its upload to its completion.
"""

import functools
import http.client
import http.server
import json
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import measured, setup, table
from .server import Server

PLANT = setup.ROOT / "crates" / "pixmill-adapters" / "tests" / "history.sql"
PICTURES = setup.ROOT / "examples" / "pictures"
POLL_SECONDS = 0.05


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--ended", type=int, default=300_000, help="requests that ended")
    parser.add_argument("--open", type=int, default=100_000, help="open requests of one tenant")
    parser.add_argument("--seconds", type=int, default=30, help="how long the server's CPU is counted, after as long a start")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves pictures and says nothing."""

    def log_message(self, *_):
        """Nothing."""


def origin():
    """An origin with pictures: its address."""
    serve = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PICTURES))
    threading.Thread(target=serve.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{serve.server_port}"


def hanging():
    """An origin that takes connections and never answers: its address."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    kept = []

    def accept():
        while True:
            kept.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def plant(binary, data, ended, opened, at):
    """Fills a server's records."""
    with Server(binary, data=data) as server:
        call(server, "GET", "/readyz")
    script = PLANT.read_text()
    for name, value in (("ended", ended), ("open", opened), ("origin", at)):
        script = script.replace(f"{{{name}}}", str(value))
    with sqlite3.connect(data / "pixmill.db") as records:
        records.executescript(script)
    records.close()


def call(server, method, path, body=None):
    """A call's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request(method, path, body, {"Content-Type": "text/csv"} if body else {})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        sys.exit(f"bench: {path} was refused: {said.decode(errors='replace')}")
    return said


def ten_images(server, at):
    """Seconds from an upload to the completion of its ten images."""
    names = sorted(picture.name for picture in PICTURES.iterdir() if picture.suffix == ".jpg")
    rows = [f"Cap {row},{at}/{names[row % len(names)]}?{row}" for row in range(10)]
    began = time.monotonic()
    request = json.loads(call(server, "POST", "/v1/requests", "Name,Image Urls\n" + "\n".join(rows) + "\n"))["id"]
    while True:
        standing = json.loads(call(server, "GET", f"/v1/requests/{request}"))
        if standing["status"] == "completed":
            break
        time.sleep(POLL_SECONDS)
    if standing["completedImages"] != len(rows):
        sys.exit(f"bench: not every image completed: {standing}")
    return time.monotonic() - began


def measure(binary, args, ended, opened, at):
    """One server: share of a core, milliseconds of `/metrics`, seconds of ten images."""
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-history-") as folder:
        data = Path(folder) / "data"
        plant(binary, data, ended, opened, at)
        with Server(binary, "--allow-address", "127.0.0.0/8", data=data) as server:
            time.sleep(args.seconds)
            before = measured.tree_cpu_seconds(server.process.pid)
            time.sleep(args.seconds)
            share = (measured.tree_cpu_seconds(server.process.pid) - before) / args.seconds
            began = time.monotonic()
            call(server, "GET", "/metrics")
            metrics = time.monotonic() - began
            return share, metrics * 1000, ten_images(server, origin())


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    refusing = "http://127.0.0.1:9"
    cases = [
        ("nothing", 0, 0, refusing),
        (f"{args.ended:,} requests that ended", args.ended, 0, refusing),
        (f"{args.open:,} open, their origin refuses", 0, args.open, refusing),
        (f"{args.open:,} open, their origin never answers", 0, args.open, hanging()),
    ]
    rows = []
    for beside, ended, opened, at in cases:
        share, metrics, ten = measure(binary, args, ended, opened, at)
        rows.append([beside, f"{share * 100:.1f} %", f"{metrics:.1f}", f"{ten:.1f}"])
        setup.say(f"  {rows[-1]}")
    table.show(
        "A server beside what has ended and what is open",
        ["beside", "of a core, nobody calling", "/metrics, ms", "ten images of another tenant, s"],
        rows,
    )
