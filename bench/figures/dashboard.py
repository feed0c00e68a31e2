"""The dashboard beside a million images: first bytes, weight of pages, steps of searches, memory of open ones.

Two requests are taken in and then planted as ended in the records: most images completed, some failed for several reasons.
Each page is asked for several times, and so is a search for what is nowhere. Then so many dashboards are opened at a
request that goes on, each a stream and a list that is asked for every five seconds. At last requests are worked on with ten
dashboards open and with none, in turn.
"""

import http.client
import json
import re
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from . import catalogue, measured, setup, table
from .server import Server
from .services import Services

FIRST_BYTE_MS, SEARCH_MS, PAGE_BYTES, MEMORY_MIB, CORE_SHARE, SLOWER = 300, 500, 100_000, 64, 0.05, 0.03
LIST_SECONDS = 5
PICTURES = setup.ROOT / "examples" / "pictures"

# One image in a hundred failed, for one of four reasons.
ENDED = """
UPDATE images SET status = CASE WHEN id % 100 = 7 THEN 3 ELSE 2 END, attempts = 1, ended = 1760000000000 + id % 1000000,
  output = CASE WHEN id % 100 = 7 THEN NULL ELSE 'processed_images/x/' || (id % 1000000) || '.jpg' END,
  bytes_before = CASE WHEN id % 100 = 7 THEN NULL ELSE 100000 + id % 900000 END,
  bytes_after = CASE WHEN id % 100 = 7 THEN NULL ELSE 20000 + id % 70000 END,
  code = CASE WHEN id % 100 <> 7 THEN NULL WHEN id % 700 = 7 THEN 'fetch.timeout' WHEN id % 300 = 7 THEN 'image.corrupt'
    WHEN id % 500 = 7 THEN 'fetch.dns' ELSE 'fetch.status' END,
  message = CASE WHEN id % 100 = 7 THEN 'shop.example answered 404 (not found)' END
  WHERE id >> 32 = {num};
UPDATE requests SET status = 'completed', completed = touched + 60000, pending_images = 0,
  failed_images = (SELECT count(*) FROM images WHERE id >> 32 = {num} AND status = 3),
  completed_images = (SELECT count(*) FROM images WHERE id >> 32 = {num} AND status = 2),
  bytes_before = (SELECT sum(bytes_before) FROM images WHERE id >> 32 = {num}),
  bytes_after = (SELECT sum(bytes_after) FROM images WHERE id >> 32 = {num}) WHERE num = {num};
"""


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--images", type=int, default=1_000_000, help="images of the request that is looked at")
    parser.add_argument("--dashboards", type=int, default=100, help="dashboards that are open at a time")
    parser.add_argument("--repeat", type=int, default=5, help="how often each page is asked for")
    parser.add_argument("--seconds", type=int, default=20, help="how long dashboards are open")
    parser.add_argument("--worked", type=int, default=4_000, help="images of each request that is worked on")
    parser.add_argument("--rounds", type=int, default=5, help="how often it is worked on with dashboards and without")
    parser.add_argument("--beside", type=int, default=10, help="dashboards that are open beside it")


def planted(binary, data, folder, images):
    """A request of so many images that have ended, and one that goes on: their ids."""
    csv = catalogue.of_rows(folder / "rows.csv", images)
    small = catalogue.of_rows(folder / "small.csv", 10)
    with Server(binary, "--role", "api", data=data) as server:
        ended, _ = server.upload(csv)
        goes_on, _ = server.upload(small)
    with sqlite3.connect(data / "pixmill.db") as records:
        num = records.execute("SELECT num FROM requests WHERE id = ?", [ended]).fetchone()[0]
        records.executescript(ENDED.format(num=num))
    records.close()
    return ended, goes_on


def asked(server, path):
    """Milliseconds to the first byte of an answer, its status and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.connect()
    began = time.monotonic()
    connection.request("GET", path, headers={"Accept": "text/html"})
    answer = connection.getresponse()
    first = (time.monotonic() - began) * 1000
    return first, answer.status, answer.read()


def weight(server, page):
    """Bytes of what a page loads beside itself and its pictures, modules that modules name too."""
    names = set(re.findall(rb'(?:src|href)="(/assets/[^"]+)"', page))
    bytes_of, left = 0, sorted(names)
    while left:
        name = left.pop()
        _, _, body = asked(server, name.decode())
        bytes_of += len(body)
        for other in re.findall(rb'from "\./([a-z-]+\.js)"', body):
            path = name.rsplit(b"/", 1)[0] + b"/" + other
            if path not in names:
                names.add(path)
                left.append(path)
    return bytes_of


def pages(server, ended, repeat):
    """Rows of the table of pages, and whether each is within its bounds."""
    images = json.loads(asked(server, f"/v1/requests/{ended}/images?limit=1")[2])["data"]
    of = f"/requests/{ended}"
    rows, fine = [], True
    for name, path, most in [
        ("requests", "/requests", FIRST_BYTE_MS),
        ("requests by name", "/requests?name=nowhere", FIRST_BYTE_MS),
        ("a request", of, FIRST_BYTE_MS),
        ("its failures", f"{of}/failures", FIRST_BYTE_MS),
        ("one group of them", f"{of}/failures?q=code:fetch.dns", FIRST_BYTE_MS),
        ("its images", f"{of}/images", FIRST_BYTE_MS),
        ("an image", f"{of}/images/{images[0]['id']}", FIRST_BYTE_MS),
        ("worst by saving", f"{of}/worst", FIRST_BYTE_MS),
        ("worst by score", f"{of}/worst?by=score", FIRST_BYTE_MS),
        ("new request", "/requests/new", FIRST_BYTE_MS),
        ("savings", "/savings", FIRST_BYTE_MS),
        ("webhooks", "/webhooks", FIRST_BYTE_MS),
        ("a search step, nothing found", f"{of}/images?q=elephant-in-no-row", SEARCH_MS),
        ("the same by its state", f"{of}/images?q=status:pending", SEARCH_MS),
        ("a search step of the API", f"/v1{of}/images?q=elephant-in-no-row", SEARCH_MS),
    ]:
        taken, size = [], 0
        for _ in range(repeat):
            first, status, body = asked(server, path)
            if status != http.HTTPStatus.OK:
                sys.exit(f"bench: {path} was answered {status}")
            taken.append(first)
            size = len(body)
        loads = size + weight(server, body) if path.startswith("/requests") or path in ("/savings", "/webhooks") else size
        within = max(taken) <= most and loads <= PAGE_BYTES
        fine = fine and within
        rows.append((name, f"{statistics.median(taken):.0f}", f"{max(taken):.0f}", most, f"{size / 1000:.1f}", f"{loads / 1000:.1f}", "yes" if within else "NO"))
    return rows, fine


def opened(server, goes_on):
    """A dashboard: the stream of a request."""
    stream = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    stream.sendall(f"GET /requests/{goes_on}/live HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    stream.recv(1024)
    return stream


def open_ones(server, goes_on, args):
    """MiB and share of a core that open dashboards take."""
    for _ in range(3):
        asked(server, "/requests")
    time.sleep(2)
    before, cpu = measured.resident_bytes(server.process.pid), measured.tree_cpu_seconds(server.process.pid)
    streams = [opened(server, goes_on) for _ in range(args.dashboards)]
    began, most = time.monotonic(), 0
    while time.monotonic() - began < args.seconds:
        # Each looks at its list every five seconds.
        turn = time.monotonic()
        for _ in range(max(1, args.dashboards // LIST_SECONDS)):
            asked(server, "/requests")
        most = max(most, measured.resident_bytes(server.process.pid))
        time.sleep(max(0, 1 - (time.monotonic() - turn)))
    share = (measured.tree_cpu_seconds(server.process.pid) - cpu) / (time.monotonic() - began)
    for stream in streams:
        stream.close()
    return (most - before) / table.MIB, share


def looked_at(server, request, dashboards, stop):
    """So many dashboards at a request until stopped: their streams read, their lists asked for."""
    streams = [opened(server, request) for _ in range(dashboards)]
    for stream in streams:
        stream.settimeout(0)
    while not stop.wait(LIST_SECONDS / dashboards):
        asked(server, "/requests")
        for stream in streams:
            try:
                stream.recv(1 << 16)
            except BlockingIOError:
                continue
    for stream in streams:
        stream.close()


def worked(binary, csv, dashboards):
    """Images a second of a server on a request, and its CPU milliseconds an image, with so many dashboards open."""
    with Server(binary, "--allow-address", "127.0.0.0/8", "--per-origin", "64") as server:
        began = time.monotonic()
        request, images = server.upload(csv)
        stop = threading.Event()
        lookers = threading.Thread(target=looked_at, args=(server, request, dashboards, stop))
        if dashboards:
            lookers.start()
        while server.completed(request) < images:
            time.sleep(0.2)
        took, cpu = time.monotonic() - began, measured.tree_cpu_seconds(server.process.pid)
        stop.set()
        if dashboards:
            lookers.join()
    return images / took, cpu * 1000 / images


def throughput(binary, args):
    """Prints images a second with dashboards and without, and whether they are near enough."""
    rates, costs = ([], []), ([], [])
    with Services() as services, tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        csv = catalogue.over_pictures(Path(folder) / "work.csv", PICTURES, services.origin(PICTURES), args.worked)
        worked(binary, csv, 0)
        for number in range(args.rounds):
            # Which one begins alternates.
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                rate, cost = worked(binary, csv, args.beside * side)
                rates[side].append(rate)
                costs[side].append(cost)
    of = [other / one for one, other in zip(*rates, strict=True)]
    table.show(
        f"A request of {args.worked:,} images, worked on {args.rounds} times with {args.beside} dashboards open and without",
        ["measure", "without", "with", "with ÷ without"],
        [
            ["images/s", table.spread(rates[0], 1), table.spread(rates[1], 1), table.spread(of, 3)],
            ["CPU ms an image", table.spread(costs[0], 2), table.spread(costs[1], 2), f"{statistics.median(costs[1]) / statistics.median(costs[0]):.3f}"],
        ],
    )
    return statistics.median(of) >= 1 - SLOWER


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-dashboard-") as folder:
        folder = Path(folder)
        ended, goes_on = planted(binary, folder / "data", folder, args.images)
        with Server(binary, "--role", "api", data=folder / "data") as server:
            rows, fine = pages(server, ended, args.repeat)
            table.show(
                f"The dashboard beside {args.images:,} images, {args.repeat} times each",
                ["page", "first byte, ms: median", "worst", "allowed", "kB of HTML", "kB with styles and modules", "within"],
                rows,
            )
            memory, share = open_ones(server, goes_on, args)
            fine = fine and memory <= MEMORY_MIB and share <= CORE_SHARE
            table.show(
                f"{args.dashboards} dashboards open",
                ["memory, MiB", "allowed", "share of a core, %", "allowed"],
                [(f"{memory:.1f}", MEMORY_MIB, f"{share * 100:.1f}", f"{CORE_SHARE * 100:.0f}")],
            )
    fine = throughput(binary, args) and fine
    if not fine:
        sys.exit("bench: something is beyond its bound")
