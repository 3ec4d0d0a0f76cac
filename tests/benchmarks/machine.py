"""Run a command in its own process and say what it took, and how much else the machine did meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

TOOLKIT = (sys.executable, "-m", "toolkit")
ROOT = Path(__file__).parents[2]
# A run during which other programs used more of the processors than this is measured again.
NOISE = 0.15
_QUIET_SECONDS = 20


class CommandFailedError(Exception):
    """A measured command ended with an error, or did not do what it was there for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run took.

    `processor` is the time that its process and the server's were at work, in seconds; `others` is how many
    processors other programs kept busy meanwhile, on average.
    """

    seconds: float
    processor: float
    rss: int
    others: float

    @property
    def is_disturbed(self) -> bool:
        """Whether to measure again; the clock of the processors is too coarse for less than a second."""
        return self.others > NOISE and self.seconds > 1


def _environment(given: Mapping[str, str]) -> Mapping[str, str]:
    """What a command sees: nothing that has Python compile its modules at each start, which no user's does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {**given}


def measure(
    command: Sequence[str],
    server: psutil.Process | Sequence[psutil.Process] | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path = ROOT,
) -> tuple[Sample, str]:
    """Run a command in a directory to its end: whole-process wall time, peak RSS in bytes, and its standard output.

    The work of `server` counts as the command's own. This process has to stay small: Linux counts what it
    occupies until the new program takes its place as the command's peak.

    Raises:
        CommandFailedError: with the end of what it wrote.
    """
    os.sync()
    busy, served, started = _busy_seconds(), _served_seconds(server), time.perf_counter()
    with (
        tempfile.TemporaryFile() as told,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=told,
            env=_environment(environment or {}),
            cwd=directory,
        ) as process,
    ):
        assert process.stdout is not None
        output = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        errors = told.read().decode(errors="replace")
    own = usage.ru_utime + usage.ru_stime + _served_seconds(server) - served
    if process.returncode:
        said = output[-1000:] + errors[-1000:]
        raise CommandFailedError(f"{Path(command[0]).name} failed ({process.returncode}): {said}")
    others = max(0.0, _busy_seconds() - busy - own) / seconds
    return Sample(seconds, own, usage.ru_maxrss * 1024, others), output


def wait_until_quiet() -> None:
    """Wait for a second in which other programs do little, but not for long."""
    deadline = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < deadline and psutil.cpu_percent(1) / 100 * (os.cpu_count() or 1) > NOISE:
        pass


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _served_seconds(servers: psutil.Process | Sequence[psutil.Process] | None) -> float:
    """Processor time of servers, of their present children and of those that have ended."""
    if servers is None:
        return 0.0
    if not isinstance(servers, psutil.Process):
        return sum(map(_served_seconds, servers))
    total = 0.0
    for process in [servers, *servers.children()]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if process == servers:
            total += times.children_user + times.children_system
    return total
