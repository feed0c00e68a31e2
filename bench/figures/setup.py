"""Gets what the figures need: the release binary, Node packages, services, pictures."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
OUT = BENCH / "out"
NODE = BENCH / "node"
SHARED_PEER = ROOT.parent / "shared" / "peer"


def say(text):
    """Talk to the person who waits, on stderr."""
    print(text, file=sys.stderr, flush=True)


def step(what, command, **options):
    """Run one step of the setup; its output goes to stderr, a failure ends the bench."""
    say(f"· {what}")
    if subprocess.run([str(part) for part in command], stdout=sys.stderr, check=False, **options).returncode != 0:
        sys.exit(f"bench: failed: {what}")


def target():
    """Where cargo puts what it builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def pixmill(binary):
    """The binary to measure: the one named, or a release build of this clone."""
    if binary:
        return Path(binary).resolve()
    step("cargo build --release", ["cargo", "build", "--release", "--locked", "-p", "pixmill"], cwd=ROOT)
    return target() / "release" / "pixmill"


def cloudinary():
    """The program that stands in for Cloudinary, built as the tests build it."""
    step("building the stand-in for Cloudinary",
         ["cargo", "build", "--locked", "--workspace", "--all-features", "--example", "cloudinary"], cwd=ROOT)  # fmt: skip
    return target() / "debug" / "examples" / "cloudinary"


def node_packages(folder):
    """`npm ci` in `folder`, once for each state of its lock file."""
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".lock-sum"
    if not stamp.exists() or stamp.read_text() != lock:
        step("npm ci", ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder)
        stamp.write_text(lock)
    return folder


def shared_stack():
    """A copy of the yardstick that lies beside this clone, with its packages."""
    if not SHARED_PEER.is_dir():
        sys.exit(f"bench: --peer shared needs {SHARED_PEER}")
    copy = OUT / "shared-peer"
    copy.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "seed-stack.mjs", "lib.mjs"):
        shutil.copyfile(SHARED_PEER / name, copy / name)
    return node_packages(copy)


def debian_packages():
    """Redis and nginx from the path, or from Debian where this user may install them."""
    install([package for program, package in (("redis-server", "redis-server"), ("nginx", "nginx-light")) if not find(program)])


def codec_packages():
    """The tools that the codec is measured beside, the same way."""
    tools = [package for program, package in (("djpeg", "libjpeg-turbo-progs"), ("jpegoptim", "jpegoptim")) if not find(program)]
    header = [] if Path("/usr/include/jpeglib.h").exists() else ["libjpeg62-turbo-dev"]
    install(tools + header)


def install(missing):
    """Debian packages that aren't there yet."""
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"bench: please install {' and '.join(missing)} (on Debian: apt-get install {' '.join(missing)})")
    # RUNLEVEL=1 keeps Debian from starting the services it installs.
    env = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
    step("apt-get install " + " ".join(missing), ["apt-get", "install", "-y", "--no-install-recommends", *missing], env=env)


def find(program):
    """A program's path; Debian keeps nginx out of a user's PATH."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def mongo_server():
    """The command of a MongoDB-compatible server that a package registry has.

    The Rust edition answers 3 to 20 times faster, so the Node stack isn't held back by
    it; `bench/setup-fast-mongo` builds it. Where MONGO_URL is set, none is started.
    """
    fast = OUT / "tools" / "bin" / "secantusd-rs"
    if fast.exists():
        return fast
    venv = OUT / "venv"
    requirements = BENCH / "requirements.txt"
    stamp = venv / ".requirements"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        step("python -m venv", [sys.executable, "-m", "venv", venv])
        step("pip install", [venv / "bin" / "pip", "install", "--quiet", "-r", requirements])
        stamp.write_text(requirements.read_text())
    return venv / "bin" / "secantusd-py"


def corpus(folder, pictures):
    """The folder of picture sets: the one named, or made from `pictures`."""
    if folder:
        return Path(folder).resolve()
    made = OUT / "corpus"
    sources = [Path(each).resolve() for each in pictures] or [ROOT / "examples" / "pictures"]
    asked = "\n".join(map(str, sources))
    stamp = made / "made-from"
    if not stamp.exists() or stamp.read_text() != asked:
        shutil.rmtree(made, ignore_errors=True)
        node_packages(NODE)
        arguments = [part for source in sources for part in ("--from", source)]
        step("making the pictures", ["node", NODE / "corpus.mjs", "--out", made, *arguments])
        stamp.write_text(asked)
    return made
