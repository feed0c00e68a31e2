"""pixmill beside the Node.js stack: the same pictures, from the same origin, in one run.

Both sides get the same catalogue and write files to the same disk, in turn, so that
whatever else the machine does strikes both. The Node stack is timed with its workers up
and warm, and its CPU is counted from there; pixmill is timed from the start of its process
to the end, reading the catalogue and writing the results included.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from . import catalogue, measured, pixmill, setup, table
from .services import Services

SETS = ("1mp", "3mp", "product")


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--peer", choices=("own", "shared"), default="shared" if setup.SHARED_PEER.is_dir() else "own",
                        help="the stack in bench/node, or the yardstick in ../shared/peer where it is there")  # fmt: skip
    parser.add_argument("--sets", default=",".join(SETS), help="picture sets, parted by commas")
    parser.add_argument("--images", type=int, default=300, help="images a run")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each side")
    parser.add_argument("--corpus", help="a folder with the sets (default: the shared peer's own, else made from --pictures)")
    parser.add_argument("--pictures", action="append", default=[], help="folder of photos to make the sets from (default: the examples')")


class Side:
    """One of the two, with what its runs gave."""

    def __init__(self, name, measure):
        self.name, self.measure, self.runs = name, measure, {}

    def add(self, picture_set, csv, images):
        """Run once more; keeps images a second, CPU ms an image, and peak MiB."""
        seconds, cpu_seconds, peak_bytes, saved = self.measure(csv, images)
        figures = (images / seconds, cpu_seconds * 1000 / images, peak_bytes / table.MIB, saved)
        self.runs.setdefault(picture_set, []).append(figures)
        setup.say(f"  {picture_set} {self.name}: {figures[0]:.1f} images/s, {figures[1]:.2f} ms CPU/image, {figures[2]:.0f} MiB")

    def column(self, picture_set, index):
        """One figure over all runs."""
        return [figures[index] for figures in self.runs[picture_set]]


def pixmill_side(binary, *options):
    """pixmill with these options, the loopback origin allowed."""

    def measure(csv, images):
        result, summary = pixmill.run_all(binary, csv, images, *pixmill.LOOPBACK, *options)
        return result.seconds, result.cpu_seconds, result.peak_bytes, 1 - summary["bytes_after"] / summary["bytes_before"]

    return Side("pixmill", measure)


def node_side(which, services):
    """The Node stack, its services running."""
    if which == "shared":
        script, extra = setup.shared_stack() / "seed-stack.mjs", ["--sink", "disk"]
    else:
        script, extra = setup.node_packages(setup.NODE) / "stack.mjs", []
    env = {"REDIS_URL": services.redis(), "MONGO_URL": services.mongo()}

    def measure(csv, images):
        output = Path(tempfile.mkdtemp(prefix="pixmill-bench-node-"))
        try:
            result = measured.run(["node", script, "--csv", csv, "--out", output, *extra], env=env)
        finally:
            shutil.rmtree(output, ignore_errors=True)
        if result.code != 0 or not result.lines:
            sys.exit(f"bench: the Node stack ended with {result.code}: {result.lines}")
        said = json.loads(result.lines[-1])
        if said["done"] != images:
            sys.exit(f"bench: the Node stack did {said['done']} of {images} images")
        bytes_in = said["input_bytes"] if which == "shared" else said["bytes_in"]
        bytes_out = said["output_bytes"] if which == "shared" else said["bytes_out"]
        return said["seconds"], said["cpu_s"], result.peak_bytes, 1 - bytes_out / bytes_in

    return Side("Node stack", measure)


def picture_sets(args):
    """The folder of picture sets that the arguments mean."""
    yardstick = setup.SHARED_PEER / "corpus" if args.peer == "shared" and not args.pictures else None
    return setup.corpus(args.corpus or yardstick, args.pictures)


def compare(args, *options):
    """Run both sides in turn; gives them back, pixmill first."""
    binary = setup.pixmill(args.binary)
    setup.debian_packages()
    pictures = picture_sets(args)
    with Services() as services, tempfile.TemporaryDirectory(prefix="pixmill-bench-csv-") as folder:
        origin = services.origin(pictures)
        sides = [pixmill_side(binary, *options), node_side(args.peer, services)]
        for turn in range(args.repeat):
            for name in args.sets.split(","):
                csv = catalogue.over_pictures(Path(folder) / f"{name}.csv", pictures / name, f"{origin}/{name}", args.images)
                for side in sides if turn % 2 == 0 else reversed(sides):
                    side.add(name, csv, args.images)
    return sides


def ratios(ours, theirs, higher_is_better):
    """Ours over theirs, or the reverse, for each pair of neighbouring runs."""
    pairs = zip(ours, theirs, strict=True)
    return [a / b if higher_is_better else b / a for a, b in pairs]


def run(args):
    """Measure and print the figure."""
    ours, theirs = compare(args, "--per-origin", "64")
    rows = []
    for name in args.sets.split(","):
        for side in (ours, theirs):
            rows.append([name, side.name, spread(side, name, 0), spread(side, name, 1, 2), spread(side, name, 2, 0), saved(side, name)])
        gains = [ratios(ours.column(name, i), theirs.column(name, i), i == 0) for i in range(3)]
        rows.append([name, "**pixmill is better by**", *(table.spread(gain, 2) + " ×" for gain in gains), ""])
    table.show(
        f"pixmill and the Node stack ({args.peer}), {args.images} images a run, {args.repeat} runs each: min / median / max",
        ["set", "side", "images/s", "CPU ms an image", "peak RSS, MiB", "bytes saved"],
        rows,
    )


def spread(side, name, index, digits=1):
    """One cell of the table."""
    return table.spread(side.column(name, index), digits)


def saved(side, name):
    """How much smaller the outputs are, the same in each run."""
    return f"{side.column(name, 3)[-1]:.1%}"
