"""Peak memory at default settings, on the 1-megapixel set, beside the Node stack.

Resident sets are summed over the process tree. Redis and MongoDB, which only the Node stack
needs, are not counted.
"""

from . import peer, table


def add_arguments(parser):
    """What the figure can be told."""
    peer.add_arguments(parser)
    parser.set_defaults(sets="1mp", repeat=3)


def run(args):
    """Measure and print the figure."""
    sides = peer.compare(args)
    rows = [[name, side.name, peer.spread(side, name, 2, 0)] for name in args.sets.split(",") for side in sides]
    table.show(f"Peak RSS at default settings, {args.images} images a run: min / median / max", ["set", "side", "MiB"], rows)
