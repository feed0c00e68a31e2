"""Runs a command and measures it with everything it starts.

CPU is user + system time as the kernel counts it for the process and the children it
waited for (wait4). Peak memory is the largest sum of resident sets over the process tree,
sampled every 20 ms, and never less than the largest resident set the kernel saw.
"""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.02
SAMPLES_BETWEEN_TREES = 10


@dataclass
class Measured:
    """One finished command: seconds, CPU seconds, bytes, and its lines of output."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    lines: list[str] = field(default_factory=list)


def tree(pid):
    """The process and its living descendants."""
    pids, at = [pid], 0
    while at < len(pids):
        for listing in Path(f"/proc/{pids[at]}/task").glob("*/children"):
            try:
                pids += [int(child) for child in listing.read_text().split()]
            except OSError:
                continue
        at += 1
    return pids


def resident_bytes(pid):
    """Resident bytes of a process, 0 once it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0


def cpu_seconds(pid):
    """CPU that a process has taken; raises OSError once it is gone."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS


def tree_cpu_seconds(pid):
    """CPU that a process and its living descendants have taken; those that are gone are skipped."""
    seconds = 0
    for of_tree in tree(pid):
        with contextlib.suppress(OSError):
            seconds += cpu_seconds(of_tree)
    return seconds


class Sampler(threading.Thread):
    """Watches the memory of a process tree until it is told to stop."""

    def __init__(self, *pids, without_root=False):
        super().__init__(daemon=True)
        self.roots, self.without_root = pids, without_root
        self.peak_bytes, self.stopped = 0, threading.Event()

    def run(self):
        """Sample; the tree itself is read again now and then, for that costs more."""
        count, pids = 0, []
        while not self.stopped.wait(SAMPLE_SECONDS):
            if count % SAMPLES_BETWEEN_TREES == 0:
                pids = [pid for root in self.roots for pid in tree(root)[self.without_root :]]
            count += 1
            self.peak_bytes = max(self.peak_bytes, sum(map(resident_bytes, pids)))

    def stop(self):
        """End sampling and give back the peak in bytes."""
        self.stopped.set()
        self.join()
        return self.peak_bytes


def run(command, *, env=None, timeout=900, on_line=None, without_root=False):
    """Run `command` to its end; raises TimeoutError after `timeout` seconds.

    `on_line(line, process, sampler)` sees each line of standard output as it comes. With
    `without_root` the memory is that of what the command starts.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    sampler = Sampler(process.pid, without_root=without_root)
    sampler.start()
    late = threading.Event()

    def give_up():
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    watchdog = threading.Timer(timeout, give_up)
    watchdog.start()
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if on_line:
                on_line(lines[-1], process, sampler)
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        watchdog.cancel()
        sampled = sampler.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    if late.is_set():
        raise TimeoutError(f"{command[0]} did not end within {timeout} s")
    return Measured(
        code=process.returncode,
        seconds=time.monotonic() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=sampled if without_root else max(sampled, kernel_peak(usage)),
        lines=lines,
    )


def kernel_peak(usage):
    """The kernel's own peak in bytes, unless it is this program's.

    A child begins as a copy of this process, and the kernel counts that copy, so a
    figure not above our own peak says nothing about the child.
    """
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage.ru_maxrss * 1024 if usage.ru_maxrss > own else 0
