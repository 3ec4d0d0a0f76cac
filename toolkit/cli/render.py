"""Results as text on stdout, errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from toolkit.cli.lines import count_lines, listed
from toolkit.cli.output import json_text, say, say_row, width_of_results
from toolkit.shown_text import printable

if TYPE_CHECKING:
    from toolkit.core.plan import FileCopy, SyncResult, TableResult, TransferWarning
    from toolkit.core.row_diff import RowDiff
    from toolkit.errors import ToolkitError
    from toolkit.operations.diff.compare import DiffResult, TableDiff
    from toolkit.operations.fixtures.dump import DumpResult


T = TypeVar("T", "TableResult", "TableDiff")

# Of files that are not copied; `--json` tells all.
_NAMED = 20
# So many tables without changes have one line together: a single one has no more to say there than in its own.
_FOLDED = 2
_ROOM = 12
_SAME = "same"


def show_error(error: ToolkitError) -> None:
    """What is wrong, and what to do next, on stderr."""
    for number, fact in enumerate(error.facts):
        say(f"{'       ' if number else 'Error: '}{fact}", err=True)
    if error.advice:
        say(f"       {error.advice}", err=True)


def plural(number: int, name: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def show_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as they need to be, numbers to the right."""
    shown = [[f"{cell:,}" if isinstance(cell, int) else printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *shown]) for column in range(len(head))]
    numbers = [any(isinstance(row[column], int) for row in rows) for column in range(len(head))]
    room = width_of_results() or sys.maxsize
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= room else " "
    before = sum(widths[:-1]) + len(gap) * (len(widths) - 1)
    # Of a last column that has some room, the words stand beneath each other.
    last = before if before + _ROOM <= room else None
    for line in [list(head), *shown] if rows else []:
        cells = [
            f"{cell:>{width}}" if number else f"{cell:{width}}"
            for cell, width, number in zip(line, widths, numbers, strict=True)
        ]
        say(gap.join(cells).rstrip(), under=last)


def show_transfer(result: SyncResult) -> None:
    """A line for each table, with the rows that were asked for, and what was proved.

    On a terminal, tables without changes have one line together.
    """
    say(f"{result.source} -> {result.target}{' (dry run: nothing was written)' if result.dry_run else ''}")
    _show_counts(result)
    deleted = [f"{table.table} {table.deleted:,}" for table in result.tables if table.deleted]
    if deleted:
        say(f"{'Would be deleted' if result.dry_run else 'Deleted'}: {', '.join(deleted)}.")
    marked = [f"{table.table} {table.marked:,}" for table in result.tables if table.marked]
    if marked:
        say(f"{'Would be marked' if result.dry_run else 'Marked'} as deleted: {', '.join(marked)}.")
    only = [f"{table.table} {table.target_only}" for table in result.tables if table.target_only]
    if only:
        say(f"Only in {result.target}, not written by this sync: {', '.join(only)}.")
    if result.attachments is not None:
        _show_files(result.attachments, result.dry_run)
    _show_renamed(result.target, result.renamed)
    rejected = "Would be rejected" if result.dry_run else "Rejected"
    for each in result.rejected:
        say(f"{rejected}: {plural(each.rows, 'row')} of {each.table}, into {each.file}")
    _show_converted(result.warnings)
    _show_masked(result.warnings)
    if result.inspection is None:
        _show_not_carried(result.warnings)
    _show_generated(result.warnings)
    _show_triggered(result.warnings)
    show_other_records(result.warnings)
    if left := unmodelled(result.warnings):
        say(f"Not copied, because it is not in the models: {left}.")
    if result.dry_run and result.created_schema:
        say(f"{result.target} has no tables: they would be created first, from {result.schema_from}.")
    _conclude(result, sum(map(_written, result.tables)))


def _show_counts(result: SyncResult) -> None:
    own, folded = _folded(result.tables, lambda table: not _written(table))
    rows = [_counts(each.table, each.inserted, each.updated, each.unchanged, each.seconds) for each in own]
    inserted, updated, unchanged = (
        sum(getattr(table, name) for table in result.tables) for name in ("inserted", "updated", "unchanged")
    )
    rows.append(_counts("total", inserted, updated, unchanged, result.seconds))
    head, *lines, total = count_lines(_TRANSFERRED, rows, (9, 9, 9, 9, 8), width_of_results(), spare=2)
    say(head)
    for table, line in zip(own, lines, strict=True):
        say(line)
        for row in table.rows:
            _show_row(row)
    _say_folded(folded)
    say(total)


_TRANSFERRED = ("table", "inserted", "updated", "unchanged", "rows/s", "seconds")
_COMPARED = ("table", "added", "changed", "removed", "unchanged")


def _written(table: TableResult) -> int:
    return table.inserted + table.updated + table.deleted + table.marked


def _counts(name: str, inserted: int, updated: int, unchanged: int, seconds: float) -> tuple[str, ...]:
    rows = inserted + updated + unchanged
    rate = f"{rows / seconds:,.0f}" if seconds and rows else "-"
    return printable(name), f"{inserted:,}", f"{updated:,}", f"{unchanged:,}", rate, f"{seconds:.2f}"


def _folded(tables: Sequence[T], is_unchanged: Callable[[T], bool]) -> tuple[list[T], list[T]]:
    """The tables that have a line of their own, and those that have one together: on a terminal, two or more."""
    without = [each for each in tables if is_unchanged(each)]
    if width_of_results() is None or len(without) < _FOLDED:
        return list(tables), []
    return [each for each in tables if not is_unchanged(each)], without


def _say_folded(tables: Sequence[TableResult | TableDiff]) -> None:
    if tables:
        names = [printable(each.table) for each in tables]
        say(listed(f"{plural(len(names), 'table')} without changes:", names, width_of_results() or sys.maxsize))


def _show_renamed(target: str, renamed: Mapping[str, str]) -> None:
    if renamed:
        say(f"By other names in {target}: {', '.join(f'{name} is {other}' for name, other in renamed.items())}.")


def _conclude(result: SyncResult, written: int) -> None:
    """What so many written rows amount to: a proof, or what to do next."""
    files = result.attachments.copied if result.attachments else 0
    if result.dry_run and (written or files or result.created_schema):
        say("Run again without --dry-run to write this.")
    elif result.is_overtaken:
        say(f"Not verified as a whole: others wrote to {result.target} meanwhile. Run again.")
    elif not written:
        limited = any(table.since for table in result.tables)
        looked_at = "changed since the last such sync" if limited else "of the source"
        but = " but for the rejected ones" if result.rejected else ""
        if not any(table.unchanged for table in result.tables) and not limited:
            say(f"Nothing to write: {result.source} has no rows{but}.")
            return
        say(f"Nothing to write: every row {looked_at}{but} is there already.")
    else:
        but = ", but for the rejected rows" if result.rejected else ""
        proved = f"Verified: rows and digest of every table written are equal{but}."
        say(proved if result.verified else "Not verified.")


def unmodelled(warnings: Iterable[TransferWarning], *, of: bool = False) -> str:
    """What no model knows, of which database if that may be either; '' if there is nothing."""
    found = [each for each in warnings if each.is_of_unmodelled]
    named = [
        f"{'table' if each.column is None else 'column'} {each.place}{f' of {each.database}' if of else ''}"
        for each in found[:_NAMED]
    ]
    more = len(found) - _NAMED
    return ", ".join([*named, *([f"{more:,} more (--json lists all)"] if more > 0 else [])])


def show_other_records(warnings: Iterable[TransferWarning]) -> None:
    """Tables that record a revision, and are not those that were looked into."""
    for each in warnings:
        if each.is_of_record:
            say(f"{each.table}: {each.reason}")


def _show_converted(warnings: Iterable[TransferWarning]) -> None:
    found = [f"{each.place} {plural(each.rows or 0, 'value')}" for each in warnings if each.is_of_conversion]
    if found:
        say(f"Changed by --convert: {', '.join(found)}.")


def _show_masked(warnings: Iterable[TransferWarning]) -> None:
    from toolkit.core.plan import MASKED, MASKED_BY_MODEL

    for outcome, why in ((MASKED, "Masked, as they look personal"), (MASKED_BY_MODEL, "Masked as personal data")):
        if masked := [each.place for each in warnings if each.outcome == outcome]:
            say(f"{why}: {', '.join(masked)}. --show-pii shows them.")


def _show_not_carried(warnings: Iterable[TransferWarning]) -> None:
    found = [each for each in warnings if each.is_of_schema]
    for each in found[:_NAMED]:
        say(f"Not carried: {each.place}: {each.reason}")
    if len(found) > _NAMED:
        say(f"… and {len(found) - _NAMED:,} more that are not carried: --json lists all.")


def _show_generated(warnings: Iterable[TransferWarning]) -> None:
    for each in warnings:
        if each.is_of_generated:
            rows = f" ({plural(each.rows, 'row')})" if each.rows else ""
            say(f"Generated otherwise: {each.place}{rows}: {each.reason}")


def _show_triggered(warnings: Iterable[TransferWarning]) -> None:
    for each in warnings:
        if each.is_of_trigger:
            say(f"Changed by a trigger: rows of {each.table}: {each.reason}")
        elif each.is_of_unseen:
            say(f"Not looked at: rows of {each.table}: {each.reason}")


def _show_files(copied: FileCopy, dry_run: bool) -> None:
    would = "to be copied" if dry_run else "copied"
    archived = f"; {copied.archived:,} in an archive, left there" if copied.archived else ""
    say(
        f"Files: {copied.copied:,} {would} to {copied.store} ({copied.bytes:,} bytes), {copied.there:,} there already"
        f"{archived}."
    )
    for problem in copied.problems[:_NAMED]:
        say(f"Not copied: {problem}")
    if len(copied.problems) > _NAMED:
        say(f"… and {len(copied.problems) - _NAMED:,} more: --json lists all.")


def show_diff(result: DiffResult) -> None:
    """A line for each table, and below it the rows that were asked for.

    On a terminal, tables that are the same have one line together.
    """
    say(f"{result.source} -> {result.target}")
    own, folded = _folded(result.tables, lambda table: table.status == _SAME)
    rows = [(printable(t.table), *(f"{n:,}" for n in (t.added, t.changed, t.removed, t.unchanged))) for t in own]
    width = width_of_results()
    room = width and width - 2 - max((len(table.status) for table in own), default=0)
    head, *lines = count_lines(_COMPARED, rows, (9, 9, 9, 9), room)
    if own:
        say(f"{head}  status")
    for table, line in zip(own, lines, strict=True):
        say(f"{line}  {table.status}{f': {table.reason}' if table.reason else ''}")
        for row in table.rows:
            _show_row(row)
    _say_folded(folded)
    _show_renamed(result.target, result.renamed)
    _show_converted(result.warnings)
    _show_masked(result.warnings)
    _show_not_carried(result.warnings)
    _show_generated(result.warnings)
    same, left = "The same: every row of every table", unmodelled(result.warnings, of=True)
    if left:
        begin = f"{same}, except what is not" if result.equal else "Not"
        say(f"{begin} compared, because it is not in the models: {left}.")
    elif result.equal:
        say(f"{same}.")


def _show_row(row: RowDiff) -> None:
    key = ", ".join(f"{name}={_short(value)}" for name, value in row.key.items())
    say_row(f"  {_SIGNS[row.kind]} {key or '(a row without a key)'}")
    for name, (old, new) in row.columns.items():
        one = new if row.kind == "added" else old
        say_row(f"      {name}: {f'{_short(old)} → {_short(new)}' if row.kind == 'changed' else _short(one)}")


_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_SHOWN = 80


def _short(value: Any) -> str:
    text = json_text(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def show_dump(result: DumpResult) -> None:
    """A line for each file."""
    width = max([len(table.table) for table in result.tables] + [5])
    say(f"{result.source} -> {result.directory}{' (dry run: nothing was written)' if result.dry_run else ''}")
    say(f"{'table':{width}}  {'rows':>9} {'bytes':>13}  file")
    for table in result.tables:
        size = "-" if table.bytes is None else f"{table.bytes:,}"
        say(f"{table.table:{width}}  {table.rows:>9,} {size:>13}  {table.file or '-'}")
    rows, written = sum(table.rows for table in result.tables), sum(table.bytes or 0 for table in result.tables)
    say(f"{'total':{width}}  {rows:>9,} {written:>13,}  in {result.seconds:.2f} s")
    if result.attachments is not None:
        _show_files(result.attachments, result.dry_run)
    _show_converted(result.warnings)
    _show_not_carried(result.warnings)
    if left := unmodelled(result.warnings):
        say(f"Not dumped, because it is not in the models: {left}.")
