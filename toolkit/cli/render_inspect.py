"""What `toolkit inspect` found, as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from toolkit.cli.output import print_script, say
from toolkit.cli.render import plural, show_table, show_transfer

if TYPE_CHECKING:
    from toolkit.core.inspection import Definitions, InspectedColumn, InspectedTable, Inspection
    from toolkit.core.plan import SyncResult
    from toolkit.core.schema import ColumnMeasure, Note

# Of a cell, so that a line stays one; `--json` tells all.
_WIDTH, _TEXT, _NUMBER = 44, 18, 32
_PARTS = 20


def show_inspection(result: Inspection) -> None:
    """What is in the database, table by table."""
    target = f"; for {result.target}" if result.target else ""
    counts = f"{plural(len(result.tables), 'table')}, {plural(result.rows, 'row')}"
    say(f"{result.database} ({result.engine}): {counts}{target}")
    for table in result.tables:
        say()
        _show(table, result.target)
    if result.left:
        say()
        _show_notes(result.left, with_table=True)


def show_sync(result: SyncResult) -> None:
    """A sync; before it, what would become of tables that nobody has written a model of."""
    if result.inspection is not None:
        show_inspection(result.inspection)
        say()
    show_transfer(result)


def show_definitions(found: Definitions) -> None:
    """The statements on stdout, as one transaction, as a sync executes them; what they leave out on stderr."""
    print_script("BEGIN;")
    for statement in found.statements:
        # A comment at the end would swallow the semicolon.
        print_script(f"{statement}\n;" if "--" in statement.rpartition("\n")[2] else f"{statement};")
    print_script("COMMIT;")
    for note in found.left:
        say(_noted(note, with_table=True), err=True)


def _show(table: InspectedTable, target: str | None) -> None:
    key = f"key {', '.join(table.key)}" if table.key else "no key"
    say(f"{table.name}: {plural(table.rows, 'row')}, {key}")
    head, is_asked = ("  column", "declared"), target is not None
    show_table(
        (*head, *([target] if target else []), "NULL", "stored"),
        [
            (
                f"  {_short(each.name)}",
                _short(f"{each.declared or '-'}{'' if each.is_nullable else ' NOT NULL'}"),
                *([_short(each.type or "-")] if is_asked else []),
                _share(each.stored),
                _stored(each),
            )
            for each in table.columns
        ],
    )
    _show_reasons(table.columns)
    for part in table.carried[:_PARTS]:
        say(f"  {'carried: ' if is_asked else ''}{part}")
    if len(table.carried) > _PARTS:
        say(f"  … and {len(table.carried) - _PARTS:,} more: --json lists all.")
    told = {(column.name, column.why) for column in table.columns}
    _show_notes([note for note in table.left if (note.column, note.reason) not in told], with_table=False)
    for each in table.misfits:
        first = " ".join(filter(None, (each.first_value, each.first_key and f"({each.first_key})")))
        count = f"{'' if each.is_all else 'at least '}{plural(each.values, 'value')}"
        say(f"  does not fit: {each.column}: {count}, {each.reason}; first {first}")
    for advice in dict.fromkeys(each.advice for each in table.misfits if each.advice):
        say(f"    {advice}")


def _show_reasons(columns: Sequence[InspectedColumn]) -> None:
    """Why columns get their types, those of one reason together."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in columns:
        if each.type and each.why:
            reasons.setdefault((each.type, each.why), []).append(each.name)
    for (type_, why), names in reasons.items():
        say(f"  {_short(type_)} of {_short(', '.join(names))}: {why}")


def _show_notes(notes: Sequence[Note], *, with_table: bool) -> None:
    for note in notes[:_PARTS]:
        say(f"{'' if with_table else '  '}{_noted(note, with_table=with_table)}")
    if len(notes) > _PARTS:
        say(f"… and {len(notes) - _PARTS:,} more: --json lists all.")


def _noted(note: Note, *, with_table: bool) -> str:
    place = ".".join(filter(None, (note.table if with_table else "", note.column)))
    how = "not carried" if note.column is None else "not as it is"
    return f"{how}: {f'{place}: ' if place else ''}{note.what}: {note.reason}"


def _share(measure: ColumnMeasure) -> str:
    if not measure.nulls:
        return "-"
    share = 100 * measure.nulls / measure.rows
    return "all" if measure.nulls == measure.rows else "<0.1 %" if share < 0.1 else f"{share:.1f} %"  # noqa: PLR2004


def _stored(column: InspectedColumn) -> str:
    """What values there are: their classes where these may differ, their range, and how long they are."""
    measure = column.stored
    values, told = measure.rows - measure.nulls, list[str]()
    if not values:
        return "-"
    if [name.replace(" ", "") for name in measure.classes] not in ([], [column.declared.replace(" ", "")]):
        told.append(_counted(measure.classes.items(), values))
    if measure.forms:
        told.append(_counted(measure.forms.items(), values))
    if measure.least is not None and measure.greatest is not None:
        told.append(_range(measure, measure.least, measure.greatest))
    if measure.longest is not None:
        told.append(f"longest {measure.longest:,}")
    if measure.precision is not None:
        told.append(f"{measure.precision} digits with {measure.scale or 0} behind the point")
    return ", ".join(told) or plural(values, "value")


def _range(measure: ColumnMeasure, least: str, greatest: str) -> str:
    width = _TEXT if measure.longest is not None and not measure.forms else _NUMBER
    return " … ".join(_short(each, width) for each in dict.fromkeys((least, greatest)))


def _counted(counts: Iterable[tuple[str, int]], values: int) -> str:
    """`integer`, or `integer 340, text 3`."""
    given = [(name, count) for name, count in counts if count]
    return ", ".join(name if count == values else f"{name} {count:,}" for name, count in given)


def _short(text: str, width: int = _WIDTH) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
