"""What one image costs each backend, by fleets of several sizes; and what a fleet costs that has nothing to do.

Workers of pixmill work off jobs that a Node producer adds, over a real Redis, a server that speaks MongoDB's protocol
and a bucket. Counted are Redis' commands, reads (a round trip each) and bytes by its own statistics (the producer's one
addition a job is among them), and its CPU; MongoDB's commands (a round trip each) and bytes on the wire, both ways; calls
of the bucket; and the workers' own CPU. The picture is a single pixel, for pictures cost backends nothing.
"""

import base64
import contextlib
import http.server
import socket
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from . import catalogue, measured, setup, table, wire
from .services import Services
from .worker import WARM, Workers

# The smallest picture: a grey pixel.
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==")
# What the statistics themselves and those who look at them ask.
OF_THE_BENCH = {"info", "config|resetstat"}


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--images", type=int, default=2_000, help="images a fleet works off")
    parser.add_argument("--fleets", default="1,10,100", help="how many workers, one fleet after the other")
    parser.add_argument("--idle-seconds", type=int, default=20, help="how long a fleet without work is watched")


class Bucket(http.server.ThreadingHTTPServer):
    """Takes whatever is put into it, keeps nothing, and counts calls by their method. Use as a context manager."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Call)
        self.calls, self.lock = Counter(), threading.Lock()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def environment(self):
        """What storage in it is called."""
        return {
            "PIXMILL_STORAGE": "s3://bench/pictures", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}", "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
        }  # fmt: skip


class Call(http.server.BaseHTTPRequestHandler):
    """One connection to the bucket."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        """Count the call, and say that all is well."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.server.lock:
            self.server.calls[self.command] += 1
        self.send_response(http.HTTPStatus.OK)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_HEAD = do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        """Nothing."""


class Redis:
    """Redis' own statistics."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.connection = socket.create_connection((parts.hostname, parts.port or 6379))
        self.answers = self.connection.makefile("rb")

    def info(self, section):
        """Its lines, by name."""
        self.connection.sendall(f"INFO {section}\r\n".encode())
        length = int(self.answers.readline()[1:])
        lines = self.answers.read(length + 2).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def commands(self):
        """Calls so far, by command."""
        said = {name.removeprefix("cmdstat_"): stats for name, stats in self.info("commandstats").items()}
        return Counter({name: int(stats.split(",")[0].partition("=")[2]) for name, stats in said.items() if name not in OF_THE_BENCH})

    def traffic(self):
        """Times it read from a client, and bytes both ways, so far."""
        said = self.info("stats")
        return int(said["total_reads_processed"]), int(said["total_net_input_bytes"]) + int(said["total_net_output_bytes"])

    def cpu_seconds(self):
        """CPU so far."""
        cpu = self.info("cpu")
        return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


class Meter:
    """All that is counted, at one moment after the other."""

    def __init__(self, redis, counted, bucket, mongo, workers):
        self.redis, self.counted, self.bucket, self.mongo, self.workers = redis, counted, bucket, mongo, workers

    def mongo_cpu_seconds(self):
        """CPU of the server that stands for MongoDB, where this bench started it."""
        if self.mongo is None:
            return 0.0
        return measured.cpu_seconds(self.mongo.pid)

    def read(self):
        """Everything so far."""
        reads, redis_bytes = self.redis.traffic()
        return {
            "redis_reads": reads, "redis_bytes": redis_bytes,
            "workers_cpu": sum(measured.cpu_seconds(process.pid) for process in self.workers.processes),
            "redis": self.redis.commands(), "redis_cpu": self.redis.cpu_seconds(), "trips": self.counted.count(),
            "bytes": self.counted.bytes, "mongo_cpu": self.mongo_cpu_seconds(), "bucket": Counter(self.bucket.calls),
        }  # fmt: skip


def told(redis_commands, of):
    """The commands that there are most of, each with how many."""
    return ", ".join(f"{name} {count / of:.2f}" for name, count in redis_commands.most_common(6))


def of_a_fleet(binary, services, env, csv, count, args):
    """Rows of what a fleet costs that works, and of what it costs while it waits."""
    redis = Redis(env["REDIS_URL"])
    with wire.Counted(env["MONGODB_URI"]) as counted, Bucket() as bucket:
        env = {**env, **bucket.environment(), "MONGODB_URI": counted.url}
        with Workers(binary, env, count) as workers:
            meter = Meter(redis, counted, bucket, services.processes.get("mongo"), workers)
            before = meter.read()
            said, _ = workers.work(csv, warm=WARM)
            after = meter.read()
            time.sleep(2)
            still, began = meter.read(), time.monotonic()
            time.sleep(args.idle_seconds)
            waited, seconds = meter.read(), time.monotonic() - began
    images = args.images + min(WARM, args.images)
    gone = {what: after[what] - before[what] for what in after}
    idle = {what: waited[what] - still[what] for what in waited}
    working = [
        count, f"{args.images / said['seconds']:.0f}", f"{gone['redis'].total() / images:.1f}", f"{gone['redis_reads'] / images:.1f}",
        f"{gone['redis_bytes'] / images / 1000:.1f}", f"{gone['redis_cpu'] * 1e6 / images:.0f}",
        f"{gone['trips'] / images:.2f}", f"{gone['bytes'] / images / 1000:.1f}", f"{gone['mongo_cpu'] * 1e6 / images:.0f}", f"{gone['workers_cpu'] * 1e3 / images:.1f}",
        ", ".join(f"{name} {calls / images:.2f}" for name, calls in gone["bucket"].items()), told(gone["redis"], images),
    ]  # fmt: skip
    waiting = [
        count, f"{idle['redis'].total() / seconds:.1f}", f"{idle['redis'].total() / seconds / count:.1f}", f"{idle['redis_cpu'] / seconds * 100:.2f}",
        f"{idle['trips'] / seconds:.1f}", f"{idle['trips'] / seconds / count:.2f}", told(idle["redis"], seconds),
    ]  # fmt: skip
    return working, waiting


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    working, waiting = [], []
    for count in map(int, args.fleets.split(",")):
        # Each fleet has backends of its own, so that none works beside what another left.
        with contextlib.ExitStack() as stack:
            services = stack.enter_context(Services())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-")))
            mongo = services.mongo()
            env = {"REDIS_URL": services.redis(), "MONGO_URL": mongo, "MONGODB_URI": mongo}
            pictures = folder / "pictures"
            pictures.mkdir()
            (pictures / "pixel.png").write_bytes(PIXEL)
            csv = catalogue.over_pictures(folder / "pictures.csv", pictures, services.origin(pictures), args.images)
            works, waits = of_a_fleet(binary, services, env, csv, count, args)
            setup.say(f"  {count}: {works} {waits}")
            working.append(works)
            waiting.append(waits)
    table.show(
        f"What one image costs, {args.images} images a fleet",
        [
            "workers", "images/s", "Redis commands", "Redis reads", "kB to and from Redis", "Redis CPU µs", "MongoDB commands", "kB to and from MongoDB",
            "MongoDB CPU µs", "workers' CPU ms", "bucket calls", "most",
        ],
        working,
    )
    table.show(
        f"What a fleet costs that waits for work, over {args.idle_seconds} s",
        ["workers", "Redis commands/s", "a worker", "Redis CPU %", "MongoDB commands/s", "a worker", "most, a second"],
        waiting,
    )
