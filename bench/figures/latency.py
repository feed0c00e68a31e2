"""Is a run over slow origins bound by latency ÷ connections, and by nothing else?

Ten origins, one to a loopback address, answer each request after 200 ms with a small
picture. The bound is latency × images ÷ connections; where the images don't divide evenly
by the connections, the last round is not full and the bound rounds up. With 50 connections
400 images are 8 full rounds; with the default 64 they are 6¼, so 7.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from . import catalogue, pixmill, setup, table
from .services import free_port

PICTURE = setup.ROOT / "examples" / "pictures" / "lighthouse.jpg"


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--images", type=int, default=400, help="images a run")
    parser.add_argument("--origins", type=int, default=10, help="origins, each on its own loopback address")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds until an origin answers")
    parser.add_argument("--connections", default="50,64", help="connections to try, parted by commas")
    parser.add_argument("--repeat", type=int, default=3, help="runs")


def start_origins(args):
    """The origins' process, ready to answer, and a URL an image."""
    port = free_port()
    addresses = [f"127.0.1.{number}" for number in range(1, args.origins + 1)]
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("slow_origin.py"), PICTURE, str(port), str(args.latency), *addresses],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if server.stdout.readline() != "ready\n":
        server.kill()
        sys.exit("bench: the slow origins did not start")
    return server, [f"http://{addresses[i % args.origins]}:{port}/{i}.jpg" for i in range(args.images)]


def one_run(binary, args, connections):
    """Seconds of one run, from inside, from outside, and as the origins saw it."""
    server, urls = start_origins(args)
    try:
        with tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
            csv = catalogue.over_origins(Path(folder) / "slow.csv", urls)
            result, summary = pixmill.run_all(binary, csv, args.images, *pixmill.LOOPBACK, "--connections", connections)
        seen = json.loads(server.communicate("")[0])
    finally:
        server.kill()
        server.wait()
    setup.say(f"  {connections} connections: {result.seconds:.3f} s, {seen['most_under_way']} requests at once")
    return summary["seconds"], result.seconds, seen["seconds"], seen["most_under_way"]


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    rows = []
    for connections in map(int, args.connections.split(",")):
        runs = [one_run(binary, args, connections) for _ in range(args.repeat)]
        inside, outside, origins, most = zip(*runs, strict=True)
        bound = args.latency * math.ceil(args.images / connections)
        rows.append([
            connections, f"{args.latency * args.images / connections:.3f}", f"{bound:.3f}", table.spread(origins, 3), table.spread(inside, 3),
            table.spread(outside, 3), f"{table.spread([each / bound for each in outside], 3)}", max(most),
        ])  # fmt: skip
    table.show(
        f"{args.images} images from {args.origins} origins that answer after {args.latency * 1000:.0f} ms, {args.repeat} runs: seconds, min / median / max",
        ["connections", "latency × images ÷ connections", "in whole rounds", "first request to last answer", "as the summary says",
         "whole process", "whole process ÷ whole rounds", "most requests at once"],
        rows,
    )  # fmt: skip
