"""What a comparison found, as one page of HTML that needs nothing else: no network, no other file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.cli.output import json_text
from toolkit.errors import ConfigurationError
from toolkit.shown_text import printable

if TYPE_CHECKING:
    from toolkit.core.plan import SyncResult, TransferWarning
    from toolkit.core.row_diff import RowDiff
    from toolkit.operations.diff.compare import DiffResult, TableDiff

_LONGEST = 2000
# Nothing is loaded, whatever stands in a value.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_report(file: Path, result: DiffResult, plan: SyncResult | None = None) -> None:
    """Write the page: what differs, and with the `plan` of a sync what it would do.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    try:
        file.write_text("\n".join(_page(result, plan)) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}.", "Name another file.") from error


def _page(result: DiffResult, plan: SyncResult | None) -> Iterator[str]:
    title = f"{_text(result.source)} → {_text(result.target)}"
    made = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    what = "What a sync would do (dry run: nothing was written)" if plan else "What differs"
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield f"<style>\n{_part('report.css')}</style></head><body>"
    yield f'<h1>{title}</h1><p class="about">{what}. Made by toolkit, {made}.</p>'
    yield from _plan(plan) if plan else _summary(result)
    warnings = plan.warnings if plan else result.warnings
    yield from (f'<p class="note">{each}</p>' for each in _notes(warnings))
    if any(table.rows for table in result.tables):
        yield '<input id="filter" type="search" placeholder="Filter rows" aria-label="Filter rows">'
    for table in result.tables:
        yield from _rows(table)
    yield f"<script>\n{_part('report.js')}</script></body></html>"


def _summary(result: DiffResult) -> Iterator[str]:
    heads = ("table", "added", "changed", "removed", "unchanged", "status")
    yield from _table(
        heads,
        ((each.table, each.added, each.changed, each.removed, each.unchanged, _status(each)) for each in result.tables),
    )


def _plan(plan: SyncResult) -> Iterator[str]:
    heads = ("table", "inserted", "updated", "deleted", "unchanged", "only there")
    yield from _table(
        heads,
        (
            (each.table, each.inserted, each.updated, each.deleted + each.marked, each.unchanged, each.target_only)
            for each in plan.tables
        ),
    )
    if plan.created_schema:
        made_from = _text(plan.schema_from or "")
        yield f'<p class="note">{_text(plan.target)} has no tables: they would be created first, from {made_from}.</p>'


def _status(table: TableDiff) -> str:
    return f"{table.status}{f': {table.reason}' if table.reason else ''}"


def _notes(warnings: Iterable[TransferWarning]) -> Iterator[str]:
    for each in warnings:
        yield f"{_text(each.place)}: {_text(each.reason)}"


def _table(heads: Sequence[str], lines: Iterable[Sequence[object]]) -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(f"<th><button>{name}</button></th>" for name in heads)
    yield "</tr></thead><tbody>"
    for line in lines:
        yield f"<tr>{''.join(map(_cell, line))}</tr>"
    yield "</tbody></table></div>"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f'<td class="number" data-sort="{value}">{value:,}</td>'
    return f"<td>{_text('' if value is None else str(value))}</td>"


def _rows(table: TableDiff) -> Iterator[str]:
    if not table.rows:
        return
    differing = table.added + table.changed + table.removed
    name = _text(table.table)
    part = "" if len(table.rows) >= differing else f", of which the first {len(table.rows):,} are here"
    yield f'<details open data-table="{name}"><summary><h2>{name}</h2>'
    yield f'<span class="about">{differing:,} differ{part}</span></summary>'
    yield '<table class="rows"><thead><tr>'
    yield "".join(f"<th><button>{each}</button></th>" for each in ("what", "key", "columns"))
    yield "</tr></thead><tbody>"
    for row in table.rows:
        key = ", ".join(f"{_text(each)}={_value(value)}" for each, value in row.key.items()) or "(no key)"
        columns = "<br>".join(_column(row, each, *values) for each, values in row.columns.items())
        yield f'<tr><td class="{row.kind}">{row.kind}</td><td>{key}</td><td>{columns}</td></tr>'
    yield "</tbody></table></details>"


def _column(row: RowDiff, name: str, old: Any, new: Any) -> str:
    parts = []
    if row.kind != "added":
        parts.append(f"<del>{_value(old)}</del>")
    if row.kind != "removed":
        parts.append(f"<ins>{_value(new)}</ins>")
    return f"{_text(name)}: {' → '.join(parts)}"


def _value(value: Any) -> str:
    text = json_text(value)
    return _text(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _text(text: str) -> str:
    return escape(printable(text))


def _part(name: str) -> str:
    return (files("toolkit.cli") / name).read_text(encoding="utf-8")
