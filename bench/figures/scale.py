"""Two workers beside one, where fetching bounds: the rate doubles, an image costs the same.

Ten origins, one to a loopback address, answer each request after 200 ms. The workers share one
Redis, one MongoDB and one stand-in for Cloudinary.
"""

import tempfile
from pathlib import Path

from . import catalogue, latency, setup, table
from .services import Services
from .worker import Workers


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--images", type=int, default=4_000, help="images a run")
    parser.add_argument("--origins", type=int, default=10, help="origins, each on its own loopback address")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds until an origin answers")
    parser.add_argument("--connections", type=int, default=16, help="connections of a worker")
    parser.add_argument("--repeat", type=int, default=3, help="runs")


def run(args):
    """Measure and print the figure."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    rates, costs = {1: [], 2: []}, {1: [], 2: []}
    with Services() as services, tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        mongo = services.mongo()
        env = {"REDIS_URL": services.redis(), "MONGO_URL": mongo, "MONGODB_URI": mongo, "CLOUDINARY_URL": services.cloudinary(),
               "PIXMILL_CONNECTIONS": str(args.connections)}  # fmt: skip
        services.processes["slow origins"], urls = latency.start_origins(args)
        csv = catalogue.over_origins(Path(folder) / "slow.csv", urls)
        for turn in range(args.repeat):
            for count in (1, 2) if turn % 2 == 0 else (2, 1):
                with Workers(binary, env, count) as workers:
                    said, _ = workers.work(csv, warm=50)
                rates[count].append(args.images / said["seconds"])
                costs[count].append(said["worker_cpu_s"] * 1000 / args.images)
                setup.say(f"  {count} workers: {rates[count][-1]:.1f} images/s, {costs[count][-1]:.2f} ms CPU/image")
    both = [[str(count), table.spread(rates[count]), table.spread(costs[count], 2)] for count in (1, 2)]
    ratios = [table.spread([b / a for a, b in zip(of[1], of[2], strict=True)], 2) for of in (rates, costs)]
    table.show(
        f"{args.images} images from {args.origins} origins that answer after {args.latency * 1000:.0f} ms, {args.connections} connections a worker, "
        f"{args.repeat} runs each: min / median / max",
        ["workers", "images/s", "workers' CPU ms an image"],
        [*both, ["**two ÷ one**", *ratios]],
    )
