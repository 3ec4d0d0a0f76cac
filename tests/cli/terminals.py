"""The command line in a real pseudo-terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
from pathlib import Path

from tests.operations.processes import _CONTEXT


def in_terminal(
    project: Path, *arguments: str, columns: int, answer: str = "", out: Path | None = None
) -> tuple[int, list[str]]:
    """Run a command where stdin, stdout and stderr are one terminal; its exit code, and the lines that it printed.

    `answer` is what a question gets, `out` a file that stdout is in place of the terminal.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = _CONTEXT.Process(target=_run, args=(project, os.ttyname(theirs), arguments, out))
    process.start()
    written, is_answered = b"", not answer
    while True:
        ready, _, _ = select.select([ours], [], [], 0.05)
        if ready:
            written += os.read(ours, 65_536)
            if not is_answered and written.endswith(b"[y/N]: "):
                os.write(ours, f"{answer}\n".encode())
                is_answered = True
        elif not process.is_alive():
            break
    process.join()
    os.close(theirs)
    os.close(ours)
    assert process.exitcode is not None
    return process.exitcode, written.decode().replace("\r\n", "\n").splitlines()


def _run(project: Path, terminal: str, arguments: tuple[str, ...], out: Path | None) -> None:
    os.chdir(project)
    os.environ.pop("COLUMNS", None)
    there = os.open(terminal, os.O_RDWR)
    for number in range(3):
        os.dup2(there, number)
    if out is not None:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    from toolkit.cli import run

    code = run(list(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
