"""What runs in a process of `local`: it does one part after another, until the socket to its coordinator is closed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

BEAT = 1.0
"""Seconds between two signs of life."""


def main(number: int) -> None:
    """Do what comes from the socket of this number."""
    pipe: Connection[Any, Any] = Connection(number)
    speaking = threading.Lock()
    threading.Thread(target=_beat, args=(pipe, speaking), daemon=True).start()
    try:
        # What comes next needs modules, which are found by this.
        sys.path[:] = pipe.recv()
        context = pipe.recv()
        while True:
            outcome = _done(pipe.recv(), context)
            with speaking:
                pipe.send(outcome)
    except (EOFError, OSError):
        # Nobody is there any more.
        return


def _done(given: Any, context: Any) -> Any:
    from toolkit.executors.contract import done

    return done(given, context)


def _beat(pipe: Connection[Any, Any], speaking: threading.Lock) -> None:
    """Say that this process lives; without a coordinator, end at once what it is at."""
    try:
        while True:
            with speaking:
                pipe.send(BEAT)
            time.sleep(BEAT)
    except OSError:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
