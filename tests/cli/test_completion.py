"""Bash, zsh and fish complete what is typed: in the shells themselves, by the lines that the README gives for each."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
# What zsh needs first, which its users have in their settings.
BEFORE = {"zsh": "autoload -Uz compinit; compinit -u -D; "}
# What is typed, and what stands there after a TAB.
TYPED = {
    "toolkit sy": "toolkit sync",
    "toolkit archive rot": "toolkit archive rotate-key",
    "toolkit sync --verify": "toolkit sync --verify-only",
    "toolkit sync --from sta": "toolkit sync --from staging",
    "toolkit sync --from=sta": "toolkit sync --from=staging",
    "toolkit sync --from staging warehou": "toolkit sync --from staging warehouse_of_them",
    "toolkit help exi": "toolkit help exit-codes",
    "toolkit load-data --dir mydir": "toolkit load-data --dir mydirectory",
}
# What shells tell differently: the first word, an option with its value in one, and folders.
OF_EACH = ("toolkit sy", "toolkit sync --from=sta", "toolkit load-data --dir mydir")
_SECONDS = 30
_ESCAPES = re.compile(r"\x1b\[[0-9;?>=]*[a-zA-Z]|\x1b[=>]|\x1b\][^\x07]*\x07|\x1b\([B0]")


def line_of_readme(shell: str) -> str:
    """The line that lets a shell complete."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = (each for each in readme.splitlines() if f"_TOOLKIT_COMPLETE={shell}_source toolkit" in each)
    return line.partition("#")[0].strip()


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, shell: str, folder: Path) -> None:
        self.typed = TYPED if shell == "bash" else {line: TYPED[line] for line in OF_EACH}
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            environment = {"PATH": path, "HOME": str(folder), "TERM": "xterm", "PS1": "> ", "LANG": "C.UTF-8"}
            os.execvpe(SHELLS[shell][0], SHELLS[shell], environment)
        self._number = 0
        self._run(f"{BEFORE.get(shell, '')}{line_of_readme(shell)}; {{}}")

    def completed(self, line: str) -> str:
        """Type a line and TAB; what stands there then."""
        # To the beginning of the line, where it is made the argument of a command that says it.
        return self._run(f"{line}\t\x01{{}} ").rstrip("/")

    def _run(self, line: str) -> str:
        """Type a line with an `echo` in it, press Enter, and wait for what that says."""
        self._number += 1
        self._type(line.format(f'echo "<"{self._number}">"') + "\r")
        said, until = "", time.monotonic() + _SECONDS
        while time.monotonic() < until:
            if select.select([self._terminal], [], [], 0.1)[0]:
                found = os.read(self._terminal, 65_536).decode(errors="replace")
                # Fish asks the terminal what it is.
                if "\x1b[c" in found or "\x1b[0c" in found:
                    self._type("\x1b[?1;2c")
                said += found
            if told := re.search(rf"<{self._number}>([^\r\n]*)[\r\n]", _ESCAPES.sub("", said)):
                return told[1].strip()
        raise AssertionError(said)

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def close(self) -> None:
        os.close(self._terminal)
        os.waitpid(self.pid, 0)


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """Each of the shells, in a project."""
    if shutil.which(request.param) is None and not os.environ.get("CI"):
        pytest.skip(f"there is no {request.param} (apt-get install {request.param})")
    settings = 'metadata = "no.such.module:x"\n[databases]\nstaging = "sqlite:///staging.sqlite3"\n'
    (tmp_path / "toolkit.toml").write_text(settings)
    (tmp_path / "mydirectory").mkdir()
    with closing(sqlite3.connect(tmp_path / "staging.sqlite3")) as file, file:
        file.execute("CREATE TABLE warehouse_of_them (id INTEGER PRIMARY KEY)")
    found = Shell(request.param, tmp_path)
    yield found
    found.close()


@pytest.mark.slow
def test_a_shell_completes_commands_options_and_names(shell: Shell) -> None:
    assert {line: shell.completed(line) for line in shell.typed} == shell.typed
