"""In which form the values of a column stand, of those that SQLite keeps one value in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from toolkit.engines.sqlite.written_forms import FORMS

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot

_NOT_NULL = "{c} IS NOT NULL"


def written_forms(connection: SqliteSnapshot, spec: TableSpec) -> Iterator[tuple[str, str | None]]:
    """By column that has values, the form that all of them stand in; None where there are several."""
    asked = [(each.name, FORMS[each.type.carrier]) for each in spec.columns if each.type.carrier in FORMS]
    if not asked:
        return
    quote = connection.sqlalchemy.dialect.identifier_preparer.quote_identifier
    counts = []
    for name, forms in asked:
        cell = quote(spec.table.c[name].name)
        # The first that is not of the form ends the search: most columns have all of their values in one.
        counts.append(f"(SELECT 1 FROM {{t}} WHERE {_NOT_NULL} LIMIT 1)".replace("{c}", cell))
        counts += [
            f"NOT EXISTS (SELECT 1 FROM {{t}} WHERE {_NOT_NULL} AND ({form}) IS NOT TRUE)".replace("{c}", cell)
            for form in forms.values()
        ]
    table = connection.sqlalchemy.dialect.identifier_preparer.format_table(spec.table)
    place = 0
    row = connection.asking.row(f"SELECT {', '.join(counts)}".replace("{t}", table)) or ()
    for name, forms in asked:
        has_values, *holds = row[place : place + 1 + len(forms)]
        place += 1 + len(forms)
        if has_values:
            yield name, next((form for form, is_held in zip(forms, holds, strict=True) if is_held), None)
