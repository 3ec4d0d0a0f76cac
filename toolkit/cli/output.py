"""The one gate: whatever the command line prints goes through here. Results to stdout, progress and errors to stderr.

Text holds no secret, and no sign that moves a terminal's cursor, whether it goes there or into a pipe: a name, a value,
a server's message or a line of a file may hold any. JSON has escapes of its own for them. Scripts are exact.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout, suppress
from shutil import get_terminal_size
from typing import IO, TYPE_CHECKING, Any

import click
from msgspec import Struct, structs

from toolkit.cli.lines import broken
from toolkit.errors import LostOutputError
from toolkit.shown_text import json_escaped, printable, without_secrets

if TYPE_CHECKING:
    from rich.console import Console


def say(line: object = "", *, err: bool = False, under: int | None = None) -> None:
    """A line of text; what of it does not fit into a terminal's stands `under` that column."""
    _echo(shown(str(line)), err=err, under=under)


def say_row(line: str) -> None:
    """A line with a row's values, which were asked for: they are shown whole."""
    _echo(printable(line))


def show_pages(text: str) -> None:
    """A long text: on a terminal by its pager, whose keys are known to whoever reads manuals."""
    pages = "\n".join(map(shown, text.split("\n")))
    if sys.stdout.isatty():
        click.echo_via_pager(pages)
    else:
        click.echo(pages)


def say_all(text: str) -> None:
    """Several lines on stderr, where the breaks are meant: a traceback, or how a command is used."""
    for line in without_secrets(text).rstrip("\n").split("\n"):
        _echo(printable(line), err=True)


def say_at_once(line: str) -> None:
    """A line on stderr in the midst of whatever is being written there."""
    with suppress(OSError):
        os.write(2, f"{shown(line)}\n".encode())


def ask(question: str) -> None:
    """Let the user confirm.

    Raises:
        click.Abort: no.
    """
    click.confirm(_asked(question), abort=True, err=True)


SCHEMA_VERSION = 1
"""Of the documents that are results: what their members are is promised by `toolkit schema`."""


def would_you(question: str) -> bool:
    """Ask the user; no is what is meant where nothing is said."""
    return click.confirm(_asked(question), default=False, err=True)


def _asked(question: str) -> str:
    """A question in lines of the terminal's width, with room for what may be answered."""
    return "\n".join(broken(shown(question), get_terminal_size().columns - len(" [y/N]: y")))


def is_somebody_there() -> bool:
    """Whether a question is seen, and can be answered."""
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def print_json(value: Any, indent: int | None = 2) -> None:
    """One JSON document on stdout; on one line without an indent."""
    click.echo(json_text([*map(_versioned, value)] if isinstance(value, list) else _versioned(value), indent))


def _versioned(value: Any) -> Any:
    """A result, with the version of its schema."""
    members = _members(value)
    return value if members is None else {"schema_version": SCHEMA_VERSION, **members}


def _members(value: Any) -> dict[str, Any] | None:
    """The members of a record by name; None for what is none."""
    if isinstance(value, Struct):
        return structs.asdict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    return None


def say_json(value: Any) -> None:
    """A JSON document on a line of stderr."""
    click.echo(json_text(value), err=True)


def print_json_part(document: str) -> None:
    """A part of a JSON document on stdout."""
    click.echo(json_escaped(document), nl=False)


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON as it may be shown: records as objects; times, paths and the like as text."""
    only_ascii = not _encoding(sys.stdout).startswith("utf")
    return json_escaped(json.dumps(value, default=_plain, indent=indent, ensure_ascii=only_ascii))


def print_script(script: str) -> None:
    """A script on stdout, as it is: where it is no terminal, click would take from it what colours one."""
    click.echo(script, color=True)


def flush_results() -> None:
    """Have stdout written out while an error of that can still be told."""
    sys.stdout.flush()


def script_stream() -> IO[bytes]:
    """Stdout, for a script that is written as it comes, as it is."""
    return sys.stdout.buffer


def input_stream() -> IO[bytes]:
    """Standard input, as it is."""
    return sys.stdin.buffer


def results_on_stderr() -> AbstractContextManager[object]:
    """What is told goes to stderr in a block whose rows are written to stdout."""
    return redirect_stdout(sys.stderr)


def report(result: Any, show: Callable[[Any], None], *, as_json: bool, done: str = "") -> None:
    """Print a result, as text or JSON. `done` is said if that cannot be printed: what it tells of stays.

    Raises:
        LostOutputError: with what was done.
    """
    try:
        print_json(result) if as_json else show(result)
    except LostOutputError as error:
        raise error.after(done) from error


def open_streams() -> None:
    """Give closed standard streams a place: what is printed would go into the next file that is opened, a database.

    Of stdout nothing can be written there, so that the loss is told.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    sys.stdin = sys.stdin or open(0, closefd=False, encoding="utf-8")  # noqa: SIM115 - as long as the process
    sys.stderr = sys.stderr or open(2, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
    sys.stdout = telling_stream(1, sys.stdout)


def telling_stream(number: int, like: IO[str] | None) -> IO[str]:
    """A stream to a file descriptor that tells of a loss by an error of ours, whoever writes to it."""
    file = io.BufferedWriter(_TellingFile(number, "w", closefd=False))
    return io.TextIOWrapper(
        file,
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors=getattr(like, "errors", None),
        line_buffering=file.isatty(),
    )


class _TellingFile(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            reason = error.strerror or str(error)
            raise LostOutputError(reason, is_unread=isinstance(error, BrokenPipeError)) from error


def give_up_lost() -> None:
    """Let Python not try again, at its end, to write what could not be, and change the exit code."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (LostOutputError, OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def let_libraries_through() -> None:
    """What libraries say of themselves, too: warnings, logs that nobody asked for, errors of threads.

    And the statements of an engine whose setting is `echo`, which SQLAlchemy would print in the midst of results.
    """
    warnings.showwarning = lambda message, category, *_, **__: say(f"{category.__name__}: {message}", err=True)
    logging.lastResort = _ToStderr(logging.WARNING)
    logging.getLogger("sqlalchemy.engine.Engine").addHandler(_ToStderr())
    # Of a connection that broke they tell what could not be undone on it: the server has undone it, and we tell why.
    for name in ("sqlalchemy.pool", "psycopg"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    threading.excepthook = lambda told: _say_error(told.exc_value)
    sys.unraisablehook = lambda told: _say_error(told.exc_value)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and isinstance(record.exc_info[1], KeyboardInterrupt):
            # Of a connection that Ctrl-C met as it was closed; the interruption itself is told at the end.
            return
        say(record.getMessage(), err=True)
        if record.exc_info:
            _say_error(record.exc_info[1])


def _say_error(error: BaseException | None) -> None:
    if error is not None:
        say_all("".join(traceback.format_exception(error)))


def _echo(line: str, *, err: bool = False, under: int | None = None) -> None:
    """Print what was made ready, in lines as wide as the terminal, with escapes for signs that its encoding lacks."""
    stream = sys.stderr if err else sys.stdout
    encoding = _encoding(stream)
    ready = line.encode(encoding, "backslashreplace").decode(encoding)
    # Nothing that is done hangs on whether somebody can be told of it.
    with suppress(OSError, ValueError) if err else nullcontext():
        for part in broken(ready, get_terminal_size().columns, under) if stream.isatty() else (ready,):
            click.echo(part, err=err)


def width_of_results() -> int | None:
    """The columns of the terminal that stdout is; None where it is none, and lines are as long as they are."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


def _encoding(stream: IO[str]) -> str:
    return (getattr(stream, "encoding", None) or "utf-8").lower()


def shown(text: str) -> str:
    """A text as it may be printed: without secrets, and with no sign that moves a cursor."""
    return printable(without_secrets(text))


def _plain(value: Any) -> Any:
    """What JSON has no form for."""
    if (members := _members(value)) is not None:
        return members
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def are_errors_on_terminal() -> bool:
    """Whether somebody sees stderr as it is written."""
    return sys.stderr.isatty()


def are_results_on_terminal() -> bool:
    """Whether somebody sees stdout as it is written."""
    return sys.stdout.isatty()


def error_console() -> Console:
    """The terminal that stderr is, for a bar."""
    from rich.console import Console

    terminal: Any = _Unfailing(sys.stderr)
    return Console(file=terminal)


class _Unfailing(io.TextIOBase):
    """A stream of which nobody notices that it cannot be written to: a terminal that hangs up in the midst of work."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return _encoding(self._stream)

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()
