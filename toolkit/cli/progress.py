"""How progress is told: a bar on a terminal, else lines on stderr; `output` chooses."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from toolkit.cli.output import are_errors_on_terminal, are_results_on_terminal, error_console, say, say_json, shown

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from toolkit.core.progress import Progress

PATIENCE_SECONDS = 2.0
"""A run of less is not told of step by step where there is no terminal."""


QUIET, LOG_JSON = "toolkit.quiet", "toolkit.log-json"
"""Under these names, a click context says how progress is to be told."""


@contextmanager
def progress_on_stderr(*, beside_script: bool = False) -> Iterator[Progress]:
    """A progress bar on a terminal, elsewhere a line for each step that is not brief; only notes if it is to be quiet.

    Of a script that goes to the same terminal, a bar would take lines away.
    """
    context = click.get_current_context(silent=True)
    chosen = {} if context is None else context.meta
    if chosen.get(LOG_JSON):
        yield JsonLines()
    elif chosen.get(QUIET) or (beside_script and are_results_on_terminal()):
        yield Notes()
    elif not are_errors_on_terminal():
        yield Lines()
    else:
        with _bar() as bar:
            yield Bars(bar)


# Beside the label and the bar: a spinner, "100 %", "9,999,999/s", what is left, and gaps.
_NUMBERS = 32
_WIDEST_BAR, _NARROWEST_LABEL = 40, 20


@contextmanager
def _bar() -> Iterator[Bar]:
    """All rows, and the present step: the share, rows a second and the time that is left, where they are known.

    Each has a line, and never two.
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    console = error_console()
    width = max(min(console.width - _NUMBERS - _room_of_label(console.width), _WIDEST_BAR), 4)
    numbers = TextColumn("{task.fields[share]} {task.fields[rate]}", markup=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(width), numbers)
    with Progress(*columns, TimeRemainingColumn(compact=True), console=console, transient=True) as bar:
        yield bar


def _room_of_label(width: int) -> int:
    return max(width // 3, _NARROWEST_LABEL)


class Notes:
    """Prints notes, and no progress."""

    def whole(self, rows: int) -> None:
        """Say nothing."""

    def step(self, label: str, rows: int | None = None) -> None:
        """Say nothing."""

    def advance(self, rows: int) -> None:
        """Say nothing."""

    def files(self, label: str, files: int, size: int) -> None:
        """Say nothing."""

    def advance_file(self, files: int, size: int) -> None:
        """Say nothing."""

    def note(self, message: str) -> None:
        """A line on stderr."""
        say(message, err=True)


class Lines(Notes):
    """Prints a line for each step of a run that takes a while, so that a log shows where it is."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._told_from = time.monotonic() + patience
        self._pending: str | None = None

    def step(self, label: str, rows: int | None = None) -> None:
        """A line on stderr, once the run has taken a while."""
        self._pending = label if rows is None else f"{label}: {rows:,} rows"
        self._tell()

    def advance(self, rows: int) -> None:
        """The line of a step that began before, if it was not told then."""
        self._tell()

    def files(self, label: str, files: int, size: int) -> None:
        """A line on stderr, once the run has taken a while."""
        self._pending = f"{label}: {files:,} files, {size:,} bytes"
        self._tell()

    def advance_file(self, files: int, size: int) -> None:
        """The line of a step that began before, if it was not told then."""
        self._tell()

    def _tell(self) -> None:
        if self._pending is not None and time.monotonic() >= self._told_from:
            say(self._pending, err=True)
            self._pending = None


class JsonLines(Notes):
    """Prints each step and each note as a JSON object on a line of its own, for machines."""

    def step(self, label: str, rows: int | None = None) -> None:
        """A line on stderr."""
        self._log(step=label, rows=rows)

    def files(self, label: str, files: int, size: int) -> None:
        """A line on stderr."""
        self._log(step=label, files=files, bytes=size)

    def note(self, message: str) -> None:
        """A line on stderr."""
        self._log(note=shown(message))

    def _log(self, **members: Any) -> None:
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        say_json({"at": at, **members})


class Bars:
    """Shows a bar for the present step, and one above it for all rows where there are several steps."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._room = _room_of_label(bar.console.width)
        self._task: TaskID | None = None
        self._whole: TaskID | None = None
        self._label, self._files, self._done = "", 0, 0

    def whole(self, rows: int) -> None:
        """Begin the bar of all rows."""
        if rows and self._whole is None:
            self._end_step()
            self._whole = self._bar.add_task(self._fitting(f"{rows:,} rows in all"), total=rows, share="0 %", rate="")

    def step(self, label: str, rows: int | None = None) -> None:
        """Begin a new bar."""
        self._end_step()
        self._files = 0
        self._task = self._bar.add_task(self._fitting(label), total=rows, share="", rate="")

    def _end_step(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None

    def advance(self, rows: int) -> None:
        """Move the bars."""
        if self._task is None:
            return
        self._bar.advance(self._task, rows)
        task = self._bar.tasks[-1]
        speed = "" if not task.speed else f"{task.speed / 1e6:,.1f} MB/s" if self._files else f"{task.speed:,.0f}/s"
        share = f"{task.percentage:.0f} %" if task.total else f"{task.completed:,.0f}"
        self._bar.update(self._task, share=share, rate=speed)
        if self._whole is not None and not self._files:
            self._bar.advance(self._whole, rows)
            self._bar.update(self._whole, share=f"{self._bar.tasks[0].percentage:.0f} %")

    def files(self, label: str, files: int, size: int) -> None:
        """Begin a new bar of bytes, with the files beside it."""
        self.step(label, size)
        self._label, self._files, self._done = label, files, 0
        self.advance_file(0, 0)

    def advance_file(self, files: int, size: int) -> None:
        """Move the bar, and count the files."""
        self._done += files
        if self._task is not None:
            label = f"{self._done:,} of {self._files:,} {self._label}"
            self._bar.update(self._task, description=self._fitting(label))
            if size:
                self.advance(size)

    def _fitting(self, label: str) -> str:
        """A label that leaves room for the bar."""
        text = shown(label)
        return text if len(text) <= self._room else f"{text[: self._room - 1]}…"

    def note(self, message: str) -> None:
        """A line above the bar."""
        self._bar.console.print(shown(message), markup=False, highlight=False)
