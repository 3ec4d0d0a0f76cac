"""In which form the values of a column stand, of those that SQLite keeps one value in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from toolkit.engines.sqlite.written_forms import FORMS

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_NOTHING = -1


def written_forms(
    connection: SqliteSnapshot, spec: TableSpec, most: int | None = None
) -> Iterator[tuple[str, str | None]]:
    """By column that has values, the form that all of them stand in, or the first so many; None where in several."""
    preparer = connection.sqlalchemy.dialect.identifier_preparer
    table = preparer.format_table(spec.table)
    for column in spec.columns:
        if (forms := FORMS.get(column.type.carrier)) is None:
            continue
        cell = preparer.quote_identifier(spec.table.c[column.name].name)
        # Each by itself: together, those of a wide table are more than a statement may be.
        first = table if most is None else f"(SELECT {cell} FROM {table} WHERE {cell} IS NOT NULL LIMIT {most})"
        (place,) = connection.asking.row(f"SELECT {_place(first, cell, [*forms.values()])}") or (_NOTHING,)
        if place != _NOTHING:
            yield column.name, None if place is None else [*forms][place]


def _place(table: str, cell: str, forms: Sequence[str]) -> str:
    """Which of these forms all values of a column stand in: the first, as a number.

    The first value that is not in a form ends the search for others, and the first form that all are in that for more.
    """
    cases = [f"WHEN NOT EXISTS (SELECT 1 FROM {table} WHERE {cell} IS NOT NULL) THEN {_NOTHING}"]
    for place, form in enumerate(forms):
        condition = form.replace("{c}", cell)
        others = f"SELECT 1 FROM {table} WHERE {cell} IS NOT NULL AND ({condition}) IS NOT TRUE"
        cases.append(f"WHEN NOT EXISTS ({others}) THEN {place}")
    return f"CASE {' '.join(cases)} END"
