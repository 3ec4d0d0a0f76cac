"""Workers of this process, found as the system sees them."""

import time
from contextlib import suppress

import psutil


def workers() -> list[psutil.Process]:
    """Those that run: one that was killed is a child until it is waited for, and one may end while it is looked at."""
    return [each for each in psutil.Process().children() if _is_worker(each)]


def any_worker() -> psutil.Process:
    """Waited for, ten seconds at most: a process starts a while after its part was handed out."""
    until = time.monotonic() + 10
    while not (found := workers()):
        assert time.monotonic() < until
        time.sleep(0.005)
    return found[0]


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):  # ZombieProcess is one of them
        return process.status() != psutil.STATUS_ZOMBIE and "toolkit.executors.process" in process.cmdline()
    return False
