"""The codec alone beside sharp and the usual command-line tools: speed, bytes, SSIMULACRA2.

One thread, CPU time, all sides in turn in one run. Every picture is scored against its
source. With --plot also a chart: speed against quality at equal bytes.
"""

import json
import resource
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from . import chart, setup, table

# Name of the case, set, format, quality, width bound, tools that do the same.
CASES = (
    ("1mp", "1mp", "jpeg", 50, None),
    ("3mp", "3mp", "jpeg", 50, None),
    ("12mp", "12mp", "jpeg", 50, None),
    ("product", "product", "jpeg", 50, None),
    ("progressive", "progressive", "jpeg", 50, None),
    ("4:4:4", "444", "jpeg", 50, None),
    ("resize to 800", "3mp", "jpeg", 50, 800),
    ("PNG → JPEG", "png", "jpeg", 50, None),
    ("PNG → WebP", "png", "webp", 50, None),
    ("JPEG → WebP", "1mp", "webp", 50, None),
    ("JPEG → AVIF", "1mp", "avif", 50, None),
)
SWEEP = (30, 40, 50, 60, 70, 75, 80, 85)
SWEPT = ("1mp", "product")
WORK = setup.OUT / "codec"


def add_arguments(parser):
    """What the figure can be told."""
    parser.add_argument("--corpus", help="a folder with the sets 1mp, 3mp and product (default: ../shared/peer's, else made from --pictures)")
    parser.add_argument("--pictures", action="append", default=[], help="folder of photos to make the sets from")
    parser.add_argument("--rounds", type=int, default=5, help="passes over a set a run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each side")
    parser.add_argument("--cases", help="names of cases, parted by commas (default: all)")
    parser.add_argument("--no-sweep", action="store_true", help="leave out qualities 30 to 85")
    parser.add_argument("--plot", default=str(WORK / "codec.svg"), help="where the chart goes")


def run(args):
    """Measure and print the figure."""
    sides = prepare(args.binary)
    sets = pictures(args)
    wanted = args.cases.split(",") if args.cases else [case[0] for case in CASES]
    rows = []
    for name, picture_set, form, quality, width in CASES:
        if name in wanted:
            rows += case(sides, sets[picture_set], name, form, quality, width, args)
    table.show(
        f"One thread, quality 50, {args.repeat} × {args.rounds} passes in turn: CPU ms an image (min / median / max of runs)",
        ["case", "side", "CPU ms an image", "Mpx/s", "bytes", "SSIMULACRA2", "speed beside sharp"],
        rows,
    )
    if not args.no_sweep:
        sweep(sides, sets, args)


def prepare(binary):
    """Builds and finds what is measured; each side is a function of (source, out, rounds, format, quality, width).

    `binary`: the codec's bench as another build made it, instead of this clone's.
    """
    setup.node_packages(setup.NODE)
    setup.codec_packages()
    if binary:
        BENCH[:] = [Path(binary).resolve()]
    else:
        setup.step("building the bench", ["cargo", "bench", "--locked", "-p", "pixmill-codec", "--bench", "codec", "--no-run"], cwd=setup.ROOT)
    reader = WORK / "read_coefficients"
    WORK.mkdir(parents=True, exist_ok=True)
    setup.step("cc read_coefficients.c", ["cc", "-O2", setup.BENCH / "native" / "read_coefficients.c", "-o", reader, "-ljpeg"])
    return {
        "pixmill": lambda *asked: timed(BENCH + ["time"], asked),
        "sharp": lambda *asked: timed(NODE + ["time"], asked),
        "libjpeg-turbo djpeg, cjpeg": pixels_by_tools,
        "jpegoptim": jpegoptim,
        "libjpeg-turbo jpegtran (lossless)": jpegtran,
        "libjpeg-turbo reading coefficients": lambda source, out, rounds, *_: say_json([reader, rounds, *files(source)]),
    }


BENCH = ["cargo", "bench", "--quiet", "--locked", "-p", "pixmill-codec", "--bench", "codec", "--"]
NODE = ["node", setup.NODE / "codec.mjs"]
JPEG_ONLY = ("libjpeg-turbo djpeg, cjpeg", "jpegoptim", "libjpeg-turbo jpegtran (lossless)", "libjpeg-turbo reading coefficients")


def say_json(command):
    """What a command prints last, as JSON."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=setup.ROOT, check=False)
    if result.returncode:
        sys.exit(f"bench: failed: {command}: {result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def timed(command, asked):
    """CPU ms an image, of each round, of a side that counts them itself."""
    source, out, rounds, form, quality, width = asked
    bound = [width] if width else []
    return say_json([*command, source, out, rounds, form, quality, *bound])


def files(folder):
    """Pictures of a set, sorted."""
    return sorted(path for path in Path(folder).iterdir() if path.is_file())


def by_processes(source, rounds, *commands):
    """CPU ms an image of tools that take one picture a process, starting them included."""
    milliseconds = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for picture in files(source):
            for command in commands:
                subprocess.run([str(part) for part in command(picture)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        milliseconds.append(spent * 1000 / len(files(source)))
    return milliseconds


def pixels_by_tools(source, out, rounds, _form, quality, _width):
    """Decoded by one tool, encoded by the other, with optimised tables as sharp has them."""
    between = WORK / "between.ppm"
    return by_processes(
        source,
        rounds,
        lambda picture: ["djpeg", "-outfile", between, picture],
        lambda picture: ["cjpeg", "-quality", quality, "-optimize", "-outfile", out / f"{picture.stem}.jpg", between],
    )


def jpegoptim(source, out, rounds, _form, quality, _width):
    """The same in one process."""
    return by_processes(source, rounds, lambda picture: ["jpegoptim", "-q", "-o", "-s", f"-m{quality}", "-d", out, picture])


def jpegtran(source, out, rounds, *_):
    """Reads and writes coefficients as they are: no smaller a quality, only better tables."""
    return by_processes(source, rounds, lambda picture: ["jpegtran", "-copy", "none", "-optimize", "-outfile", out / f"{picture.stem}.jpg", picture])


def pictures(args):
    """Folders of all sets: those of the corpus, and those made of it."""
    shared = setup.SHARED_PEER / "corpus"
    corpus = setup.corpus(args.corpus or (shared if shared.is_dir() and not args.pictures else None), args.pictures)
    derived = WORK / "sets"
    stamp = derived / ".made-from"
    if not stamp.exists() or stamp.read_text() != str(corpus):
        shutil.rmtree(derived, ignore_errors=True)
        setup.step("making 12mp, 444 and png", [*NODE, "derive", corpus, derived])
        (derived / "progressive").mkdir()
        for picture in files(corpus / "3mp"):
            setup.step(f"progressive/{picture.name}", ["jpegtran", "-progressive", "-copy", "none", "-outfile", derived / "progressive" / picture.name, picture])
        stamp.write_text(str(corpus))
    sets = {folder.name: folder for base in (corpus, derived) for folder in base.iterdir() if folder.is_dir()}
    return sets


def measure(sides, names, source, form, quality, width, args):
    """Runs the sides in turn; CPU ms an image of each run, and the folder of each one's outputs."""
    folders = {name: WORK / "outputs" / str(at) for at, name in enumerate(names)}
    for folder in folders.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    runs = {name: [] for name in names}
    for turn in range(args.repeat):
        for name in names if turn % 2 == 0 else reversed(names):
            rounds = sides[name](source, folders[name], args.rounds, form, quality, width)
            runs[name].append(statistics.median(rounds))
    return runs, folders


def scores(source, outputs, width):
    """SSIMULACRA2 of each output against its source, both decoded by sharp; none for another size."""
    if width:
        return []
    decoded = [WORK / "decoded" / which for which in ("source", "output")]
    for folder, to in zip((source, outputs), decoded, strict=True):
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        setup.step(f"decoding {folder}", [*NODE, "decode", folder, to])
    return say_json([*BENCH, "score", *decoded])


def megapixels(source):
    """Mean size of a set's pictures."""
    return statistics.mean(json.loads(subprocess.run(
        ["node", "--input-type=module", "-e",
         "import sharp from 'sharp'; const all = []; for (const f of process.argv.slice(1)) { const m = await sharp(f).metadata(); all.push(m.width * m.height / 1e6) } console.log(JSON.stringify(all))",
         *map(str, files(source))],
        cwd=setup.NODE, capture_output=True, text=True, check=True).stdout))  # fmt: skip


def case(sides, source, name, form, quality, width, args):
    """Rows of one case."""
    same = form == "jpeg" and not width and files(source)[0].suffix == ".jpg"
    names = [side for side in sides if same or side not in JPEG_ONLY]
    runs, folders = measure(sides, names, source, form, quality, width, args)
    size, rows = megapixels(source), []
    for side in names:
        outputs = files(folders[side])
        total = sum(path.stat().st_size for path in outputs)
        theirs = sum(path.stat().st_size for path in files(folders["sharp"]))
        score = scores(source, folders[side], width) if outputs else []
        gains = [b / a for a, b in zip(runs[side], runs["sharp"], strict=True)]
        rows.append([
            name, side, table.spread(runs[side], 2), f"{size * 1000 / statistics.median(runs[side]):.0f}",
            f"{total / theirs:.1%}" if outputs else "", f"{statistics.mean(score):.2f}" if score else "",
            "" if side == "sharp" else table.spread(gains, 2) + " ×",
        ])  # fmt: skip
    return rows


def sweep(sides, sets, args):
    """Bytes and score over the qualities people use, and the chart."""
    rows, lines = [], {}
    for picture_set in SWEPT:
        size = megapixels(sets[picture_set])
        for quality in SWEEP:
            runs, folders = measure(sides, ["pixmill", "sharp"], sets[picture_set], "jpeg", quality, None, args)
            bytes_of = {side: sum(path.stat().st_size for path in files(folders[side])) for side in runs}
            score_of = {side: statistics.mean(scores(sets[picture_set], folders[side], None)) for side in runs}
            speed_of = {side: size * 1000 / statistics.median(runs[side]) for side in runs}
            for side in runs:
                lines.setdefault((picture_set, side), []).append((bytes_of[side], score_of[side], speed_of[side]))
            rows.append([
                picture_set, quality, f"{bytes_of['pixmill'] / bytes_of['sharp']:.1%}", f"{score_of['pixmill']:.2f}", f"{score_of['sharp']:.2f}",
                f"{score_of['pixmill'] - score_of['sharp']:+.2f}", f"{speed_of['pixmill'] / speed_of['sharp']:.2f} ×",
            ])  # fmt: skip
    table.show("Over qualities", ["set", "quality", "bytes beside sharp", "SSIMULACRA2", "sharp's", "difference", "speed beside sharp"], rows)
    chart.write(Path(args.plot), lines)
    setup.say(f"chart: {args.plot}")
