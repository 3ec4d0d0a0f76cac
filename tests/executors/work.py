"""Work for workers of tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def doubled(part: int, _: Any) -> int:
    """A part of nothing."""
    return 2 * part


def with_context(part: str, context: Any) -> Any:
    """What is known under a name."""
    return context[part]


def lost_once(part: Path, _: Any) -> str:
    """Ended with its process, at the first attempt."""
    if not part.exists():
        part.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def frozen_once(part: Path, _: Any) -> str:
    """Frozen with its process, at the first attempt; who goes on later leaves a file."""
    if not part.exists():
        part.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
        part.with_suffix(".late").touch()
        return "late"
    return "done"


def always_lost(_: int, __: Any) -> None:
    """Whoever does it is lost."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(part: int, _: Any) -> int:
    """One part fails."""
    if part == 3:
        raise ValueError("no such part")
    return part


def noted(part: Path, _: Any) -> None:
    """Says when it begins and when it ends."""
    part.with_suffix(".began").touch()
    time.sleep(0.2)
    part.touch()
