"""Results as text or JSON on stdout, progress on stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from toolkit.core.plan import FileCopy, SyncResult, TransferWarning
    from toolkit.core.progress import Progress
    from toolkit.errors import ToolkitError
    from toolkit.operations.diff import DiffResult, RowDiff
    from toolkit.operations.dump import DumpResult


# Of files that are not copied; `--json` tells all.
_NAMED = 20


def show_json(result: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False, default=plain))


def show_error(error: ToolkitError) -> None:
    """What is wrong, and what to do next, on stderr."""
    click.echo(f"Error: {error.fact}", err=True)
    if error.advice:
        click.echo(f"       {error.advice}", err=True)


def plain(value: Any) -> str:
    """What JSON has no form for, as text: times, paths."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def plural(number: int, name: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def show_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as they need to be, numbers to the right."""
    shown = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *shown]) for column in range(len(head))]
    numbers = [any(isinstance(row[column], int) for row in rows) for column in range(len(head))]
    for line in [list(head), *shown] if rows else []:
        cells = [
            f"{cell:>{width}}" if number else f"{cell:{width}}"
            for cell, width, number in zip(line, widths, numbers, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def show_transfer(result: SyncResult) -> None:
    """A line for each table, and what was proved."""
    width = max([len(table.table) for table in result.tables] + [5])
    click.echo(f"{result.source} -> {result.target}{' (dry run: nothing was written)' if result.dry_run else ''}")
    click.echo(f"{'table':{width}}  {'inserted':>9} {'updated':>9} {'unchanged':>9} {'rows/s':>9} {'seconds':>8}")
    for table in result.tables:
        click.echo(_line(table.table, width, table.inserted, table.updated, table.unchanged, table.seconds))
    inserted, updated, unchanged = (
        sum(getattr(table, name) for table in result.tables) for name in ("inserted", "updated", "unchanged")
    )
    click.echo(_line("total", width, inserted, updated, unchanged, result.seconds))
    deleted = [f"{table.table} {table.deleted:,}" for table in result.tables if table.deleted]
    if deleted:
        click.echo(f"{'Would be deleted' if result.dry_run else 'Deleted'}: {', '.join(deleted)}.")
    marked = [f"{table.table} {table.marked:,}" for table in result.tables if table.marked]
    if marked:
        click.echo(f"{'Would be marked' if result.dry_run else 'Marked'} as deleted: {', '.join(marked)}.")
    only = [f"{table.table} {table.target_only}" for table in result.tables if table.target_only]
    if only:
        click.echo(f"Only in {result.target}, left as they are: {', '.join(only)}.")
    if result.attachments is not None:
        _show_files(result.attachments, result.dry_run)
    if left := unmodelled(result.warnings):
        click.echo(f"Not copied, for the models do not know it: {left}.")
    if result.dry_run and result.created_schema:
        click.echo(f"{result.target} has no tables: they would be created first, from {result.schema_from}.")
    written = inserted + updated + sum(table.deleted + table.marked for table in result.tables)
    files = result.attachments.copied if result.attachments else 0
    if result.dry_run and (written or files or result.created_schema):
        click.echo("Run again without --dry-run to write this.")
    elif not written:
        limited = any(table.since for table in result.tables)
        looked_at = "changed since the last such sync" if limited else "of the source"
        click.echo(f"Nothing to write: every row {looked_at} is there already.")
    else:
        proved = "Verified: rows and digest of every table written are equal."
        click.echo(proved if result.verified else "Not verified.")


def unmodelled(warnings: Iterable[TransferWarning], *, of: bool = False) -> str:
    """What no model knows, of which database if that may be either; '' if there is nothing."""
    found = [each for each in warnings if each.is_of_unmodelled]
    named = [
        f"{'table' if each.column is None else 'column'} {each.place}{f' of {each.database}' if of else ''}"
        for each in found[:_NAMED]
    ]
    more = len(found) - _NAMED
    return ", ".join([*named, *([f"{more:,} more (--json tells all)"] if more > 0 else [])])


def _show_files(copied: FileCopy, dry_run: bool) -> None:
    would = "to be copied" if dry_run else "copied"
    archived = f"; {copied.archived:,} in an archive, left there" if copied.archived else ""
    click.echo(
        f"Files: {copied.copied:,} {would} to {copied.store} ({copied.bytes:,} bytes), {copied.there:,} there already"
        f"{archived}."
    )
    for problem in copied.problems[:_NAMED]:
        click.echo(f"Not copied: {problem}")
    if len(copied.problems) > _NAMED:
        click.echo(f"… and {len(copied.problems) - _NAMED:,} more: --json tells all.")


def show_json_line(result: Any) -> None:
    """One line of JSON on stdout."""
    click.echo(json.dumps(dataclasses.asdict(result), ensure_ascii=False))


def show_diff(result: DiffResult) -> None:
    """A line for each table, and below it the rows that were asked for."""
    width = max([len(table.table) for table in result.tables] + [5])
    click.echo(f"{result.source} -> {result.target}")
    click.echo(f"{'table':{width}}  {'added':>9} {'changed':>9} {'removed':>9} {'unchanged':>9}  status")
    for table in result.tables:
        counts = (table.added, table.changed, table.removed, table.unchanged)
        numbers = " ".join(f"{count:>9,}" for count in counts)
        click.echo(f"{table.table:{width}}  {numbers}  {table.status}{f': {table.reason}' if table.reason else ''}")
        for row in table.rows:
            _show_row(row)
    same, left = "The same: every row of every table", unmodelled(result.warnings, of=True)
    if left:
        begin = f"{same}, except what is not" if result.equal else "Not"
        click.echo(f"{begin} compared, for the models do not know it: {left}.")
    elif result.equal:
        click.echo(f"{same}.")


def _show_row(row: RowDiff) -> None:
    click.echo(f"  {_SIGNS[row.kind]} {', '.join(f'{name}={_short(value)}' for name, value in row.key.items())}")
    for name, (old, new) in row.columns.items():
        one = new if row.kind == "added" else old
        click.echo(f"      {name}: {f'{_short(old)} → {_short(new)}' if row.kind == 'changed' else _short(one)}")


_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_SHOWN = 80


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def show_dump(result: DumpResult) -> None:
    """A line for each file."""
    width = max([len(table.table) for table in result.tables] + [5])
    click.echo(f"{result.source} -> {result.directory}{' (dry run: nothing was written)' if result.dry_run else ''}")
    click.echo(f"{'table':{width}}  {'rows':>9} {'bytes':>13}  file")
    for table in result.tables:
        size = "-" if table.bytes is None else f"{table.bytes:,}"
        click.echo(f"{table.table:{width}}  {table.rows:>9,} {size:>13}  {table.file or '-'}")
    rows, written = sum(table.rows for table in result.tables), sum(table.bytes or 0 for table in result.tables)
    click.echo(f"{'total':{width}}  {rows:>9,} {written:>13,}  in {result.seconds:.2f} s")
    if result.attachments is not None:
        _show_files(result.attachments, result.dry_run)
    if left := unmodelled(result.warnings):
        click.echo(f"Not dumped, for the models do not know it: {left}.")


def _line(name: str, width: int, inserted: int, updated: int, unchanged: int, seconds: float) -> str:
    rows = inserted + updated + unchanged
    rate = f"{rows / seconds:,.0f}" if seconds and rows else "-"
    return f"{name:{width}}  {inserted:>9,} {updated:>9,} {unchanged:>9,} {rate:>9} {seconds:>8.2f}"


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """A progress bar on a terminal; elsewhere only the notes."""
    if not sys.stderr.isatty():
        yield Notes()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    label = TextColumn("{task.description}")
    columns = (SpinnerColumn(), label, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bars(bar)


class Notes:
    """Prints notes, and no progress."""

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
        click.echo(message, err=True)


class Bars:
    """Shows one bar, that of the present step."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task: TaskID | None = None
        self._label, self._files, self._done = "", 0, 0

    def step(self, label: str, rows: int | None = None) -> None:
        """Begin a new bar."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(label, total=rows)

    def advance(self, rows: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.advance(self._task, rows)

    def files(self, label: str, files: int, size: int) -> None:
        """Begin a new bar of bytes, with the files beside it."""
        self._label, self._files, self._done = label, files, 0
        self.step(label, size)
        self.advance_file(0, 0)

    def advance_file(self, files: int, size: int) -> None:
        """Move the bar, and count the files."""
        self._done += files
        if self._task is not None:
            label = f"{self._label}: {self._done:,} of {self._files:,} files; bytes"
            self._bar.update(self._task, advance=size, description=label)

    def note(self, message: str) -> None:
        """A line above the bar."""
        self._bar.console.print(message, markup=False, highlight=False)
