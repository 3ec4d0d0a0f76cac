"""Ctrl-C at the edges of a command: what is said of it stays true, and there is no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import Any

import click
import pytest

from toolkit import cli
from toolkit.errors import ToolkitError

_ENDS = """
    import os, signal, sys
    from toolkit import __main__, cli

    run = cli.run
    cli.run = lambda arguments: (run(arguments), os.kill(os.getpid(), signal.SIGINT))[0]
    sys.argv = ["toolkit", "--version"]
    __main__.main()
"""
_BEGINS = """
    import os, signal, sys

    class Loading:
        def find_spec(self, name, path=None, target=None):
            if name == "click":
                os.kill(os.getpid(), signal.SIGINT)

    sys.meta_path.insert(0, Loading())
    from toolkit import __main__
    __main__.main()
"""


def _press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_while_an_error_is_told_changes_neither_the_error_nor_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ToolkitError("The fact.", "The advice.")

    echo = click.echo

    def interrupted(*arguments: Any, **options: Any) -> None:
        _press()
        echo(*arguments, **options)

    monkeypatch.setattr(cli.toolkit, "main", fail)
    monkeypatch.setattr(click, "echo", interrupted)
    assert cli.run([]) == 1
    assert capsys.readouterr().err == "Error: The fact.\n       The advice.\n"


def test_ctrl_c_in_a_command_is_told_as_such_whatever_a_library_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in (RuntimeError("of a library"), ToolkitError("The fact."), click.UsageError("of click")):

        def translate(*_: object, error: Exception = other, **__: object) -> None:
            try:
                _press()
            except KeyboardInterrupt:
                raise error from None

        monkeypatch.setattr(cli.toolkit, "main", translate)
        assert cli.run([]) == 130
        assert capsys.readouterr().err == "Interrupted; what was not committed is rolled back.\n"


def test_ctrl_c_again_at_once_does_not_break_off_what_lets_go_of_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def work(*_: object, **__: object) -> None:
        try:
            _press()
        finally:
            _press()
            closed.append("database")

    monkeypatch.setattr(cli.toolkit, "main", work)
    assert cli.run([]) == 130
    assert closed == ["database"]


def test_ctrl_c_that_only_a_library_heard_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hear(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.toolkit, "invoke", hear)
    assert cli.run(["sync"]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted; what was not committed is rolled back."


@pytest.mark.parametrize(("program", "told"), [(_BEGINS, ""), (_ENDS, "toolkit, version")])
def test_ctrl_c_while_libraries_load_or_after_the_command_ends_the_process_without_a_traceback(
    program: str, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.startswith(told)
    assert done.stderr == ""
    assert done.returncode == -signal.SIGINT
