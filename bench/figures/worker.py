"""pixmill's worker in the place of the Node worker: BullMQ, MongoDB, Cloudinary, the same jobs.

A Node producer writes the documents and adds the jobs on both sides; the workers are up and
warm, and time runs from the first job added to the webhook's receipt. CPU and memory are
those of the workers alone. Round trips are the commands that pass on the way to MongoDB, of a
warm-up's images too; of the Node stack, the producer's few are among them.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import catalogue, measured, peer, setup, table, wire
from .services import Services, free_port

READY_SECONDS = 120
# Images before those that are measured; the Node stack's own choice.
WARM = 100
FIGURES = ("images/s", "worker's CPU ms an image", "workers' peak RSS, MiB", "round trips an image")


def add_arguments(parser):
    """What the figure can be told."""
    peer.add_arguments(parser)


class Workers:
    """`pixmill serve --role worker`, as many as wanted, on the services of the environment."""

    def __init__(self, binary, env, count=1):
        self.binary, self.count, self.port = binary, count, free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="pixmill-bench-worker-")
        self.env = {**os.environ, **env, "WEBHOOK_URL": f"http://127.0.0.1:{self.port}/"}
        self.processes = []

    def __enter__(self):
        """Start them, and wait until each says that it is ready."""
        options = ["--per-origin", "64", "--allow-address", "127.0.0.0/8", "--data", self.folder.name]
        for number in range(self.count):
            log = Path(self.folder.name) / f"worker-{number}.log"
            with log.open("wb") as said:
                command = [self.binary, "serve", "--role", "worker", *options]
                self.processes.append(subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=said, stderr=said))
            until = time.monotonic() + READY_SECONDS
            while b'"ready"' not in log.read_bytes():
                if time.monotonic() > until or self.processes[-1].poll() is not None:
                    sys.exit(f"bench: the worker did not start: {log.read_text()}")
                time.sleep(0.05)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait()
        self.folder.cleanup()

    def work(self, csv, *, warm):
        """Have a catalogue worked off; gives back what the producer says, and the workers' peak memory in bytes."""
        pids = [process.pid for process in self.processes]
        sampler = measured.Sampler(*pids)
        sampler.start()
        producer = [
            "node", setup.node_packages(setup.NODE) / "stack.mjs", "--csv", csv, "--workers", "0", "--warm", warm,
            "--pids", ",".join(map(str, pids)), "--webhook-port", self.port,
        ]  # fmt: skip
        result = measured.run(producer, env=self.env)
        peak = sampler.stop()
        if result.code != 0 or not result.lines:
            sys.exit(f"bench: the producer ended with {result.code}: {result.lines}")
        return json.loads(result.lines[-1]), peak


def pixmill_side(binary, env):
    """One run of ours: the figures, in their order."""

    def measure(csv, images):
        with wire.Counted(env["MONGODB_URI"]) as counted, Workers(binary, {**env, "MONGODB_URI": counted.url}) as workers:
            before = counted.count()
            said, peak = workers.work(csv, warm=WARM)
            trips = counted.count() - before
        return images / said["seconds"], said["worker_cpu_s"] * 1000 / images, peak / table.MIB, trips / (images + min(WARM, images))

    return measure


def node_side(which, env):
    """One run of the Node stack's."""
    script = (setup.shared_stack() / "seed-stack.mjs") if which == "shared" else (setup.node_packages(setup.NODE) / "stack.mjs")

    def measure(csv, images):
        with wire.Counted(env["MONGO_URL"]) as counted:
            command = ["node", script, "--csv", csv, "--sink", "cloudinary", "--out", os.devnull]
            result = measured.run(command, env={**env, "MONGO_URL": counted.url}, without_root=True)
        if result.code != 0 or not result.lines:
            sys.exit(f"bench: the Node stack ended with {result.code}: {result.lines}")
        said = json.loads(result.lines[-1])
        cpu_ms = sum(said["worker_cpu_ms_per_image"].values()) if which == "shared" else said["worker_cpu_s"] * 1000 / images
        return images / said["seconds"], cpu_ms, result.peak_bytes / table.MIB, counted.count() / (images + min(WARM, images))

    return measure


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    pictures = peer.picture_sets(args)
    with Services() as services, tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        origin, mongo = services.origin(pictures), services.mongo()
        env = {"REDIS_URL": services.redis(), "MONGO_URL": mongo, "MONGODB_URI": mongo, "CLOUDINARY_URL": services.cloudinary()}
        sides = {"pixmill": pixmill_side(binary, env), "Node worker": node_side(args.peer, env)}
        runs = {}
        for turn in range(args.repeat):
            for name in args.sets.split(","):
                csv = catalogue.over_pictures(Path(folder) / f"{name}.csv", pictures / name, f"{origin}/{name}", args.images)
                for side in list(sides) if turn % 2 == 0 else reversed(list(sides)):
                    figures = sides[side](csv, args.images)
                    runs.setdefault((name, side), []).append(figures)
                    setup.say(f"  {name} {side}: " + ", ".join(f"{value:.2f} {what}" for what, value in zip(FIGURES, figures, strict=True)))
    table.show(
        f"pixmill's worker and the Node worker ({args.peer}), {args.images} images a run, {args.repeat} runs each: min / median / max",
        ["set", "side", *FIGURES],
        [row for name in args.sets.split(",") for row in rows(name, runs)],
    )


def rows(name, runs):
    """A row a side, and one of the gains, run by run."""
    cells = [[name, side, *(table.spread(column, 2) for column in zip(*each, strict=True))] for (of, side), each in runs.items() if of == name]
    ours, theirs = (list(zip(*runs[name, side], strict=True)) for side in ("pixmill", "Node worker"))
    gains = [table.spread(peer.ratios(ours[i], theirs[i], i == 0), 2) + " ×" for i in range(3)]
    return [*cells, [name, "**pixmill is better by**", *gains, ""]]
