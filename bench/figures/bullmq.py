"""Jobs without work through the queue: pixmill's worker and the Node library's, on one Redis.

All take, complete and trim the same jobs, in turn. pixmill also writes progress and a log
line for each job, as it does for images. The Node worker does so in one of its two sides, and
writes neither in the other.
"""

import json
import subprocess
import sys

from . import measured, setup, table
from .services import Services

BENCH = ["cargo", "bench", "--locked", "-p", "pixmill-adapters", "--bench", "queue"]


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs a run")
    parser.add_argument("--concurrency", default="8,64", help="jobs held at once, parted by commas")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each side")


def one_run(command, env):
    """What one side says of its run."""
    result = measured.run(command, env=env)
    if result.code != 0 or not result.lines:
        sys.exit(f"bench: {command} ended with {result.code}: {result.lines}")
    return json.loads(result.lines[-1])


def bench_program():
    """The built bench, so that what cargo costs does not count."""
    setup.say("  building the bench")
    built = subprocess.run([*BENCH, "--no-run", "--message-format", "json"], cwd=setup.ROOT, stdout=subprocess.PIPE, check=False)
    if built.returncode != 0:
        sys.exit("bench: the queue bench can't be built")
    messages = map(json.loads, built.stdout.splitlines())
    return next(said["executable"] for said in messages if said.get("target", {}).get("name") == "queue" and said.get("executable"))


def run(args):
    """Measure both sides in turn and print the figure."""
    program = bench_program()
    setup.debian_packages()
    node = setup.node_packages(setup.NODE) / "noop.mjs"
    rows = []
    with Services() as services:
        env = {"REDIS_URL": services.redis()}
        for concurrency in args.concurrency.split(","):
            sides = {"pixmill": ([program], []), "Node library": (["node", node], []), "Node library, telling as much": (["node", node], ["telling"])}
            runs = {name: [] for name in sides}
            for turn in range(args.repeat):
                for name in list(sides) if turn % 2 == 0 else reversed(list(sides)):
                    command, more = sides[name]
                    said = one_run([*command, str(args.jobs), concurrency, *more], env)
                    runs[name].append(said)
                    setup.say(f"  {concurrency} {name}: {said}")
            rows += table_rows(concurrency, runs)
    table.show(
        f"{args.jobs} jobs without work, {args.repeat} runs each: min / median / max",
        ["concurrency", "side", "jobs/s", "CPU µs a job", "peak RSS, MiB"],
        rows,
    )


def table_rows(concurrency, runs):
    """A row a side, and one of pixmill over each other, run by run."""
    fields = ("jobs_per_second", "cpu_us_per_job", "peak_rss_mib")
    rows = [[concurrency, name, *(table.spread([said[field] for said in each], 0) for field in fields)] for name, each in runs.items()]
    (_, ours), *others = runs.items()
    for name, theirs in others:
        ratios = [[a[field] / b[field] for a, b in zip(ours, theirs, strict=True)] for field in fields]
        rows.append([concurrency, f"**pixmill ÷ {name}**", *(table.spread(ratio, 2) for ratio in ratios)])
    return rows
