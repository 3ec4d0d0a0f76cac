"""UUIDs that a file stores in several forms, 16 bytes here and text there: to SQLite each of these is another value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from toolkit.core.types import Kind
from toolkit.core.values import shortened
from toolkit.engines.sqlite.value_conditions import IS_UUID
from toolkit.errors import TwoFormsError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.portable.connection import DatabaseConnection

_BYTES, _DIGITS, _HYPHENS = "16 bytes", "text of 32 digits", "text with hyphens"
_FORMS = {
    _BYTES: "typeof({c}) = 'blob' AND length({c}) = 16",
    _DIGITS: f"typeof({{c}}) = 'text' AND length({{c}}) = 32 AND {IS_UUID}",
    _HYPHENS: f"typeof({{c}}) = 'text' AND length({{c}}) = 36 AND {IS_UUID}",
}
_KINDS = frozenset({Kind.UUID, Kind.BYTES, Kind.TEXT})
# The same for all forms of one UUID.
_ALIKE = "lower(replace(CASE typeof({c}) WHEN 'blob' THEN hex({c}) ELSE {c} END, '-', ''))"


def require_one_form(connection: DatabaseConnection, specs: Sequence[TableSpec]) -> None:
    """Check that no key is stored twice, in different forms.

    An index finds its ends without a scan, and has all texts before all bytes.

    Raises:
        TwoFormsError: the first that is.
    """
    for spec in specs:
        for name in (each for each in spec.key if spec.column(each).type.carrier is Kind.UUID):
            cell, table = _quoted(connection, spec, name)
            ends = f"SELECT (SELECT typeof(min({cell})) FROM {table}), (SELECT typeof(max({cell})) FROM {table})"
            if len(set(_rows(connection, ends)[0])) > 1:
                _require_no_key_twice(connection, spec, name)


def _require_no_key_twice(connection: DatabaseConnection, spec: TableSpec, name: str) -> None:
    cells = [_quoted(connection, spec, each)[0] for each in spec.key]
    alike = [
        _ALIKE.replace("{c}", cell) if spec.column(each).type.carrier is Kind.UUID else cell
        for each, cell in zip(spec.key, cells, strict=True)
    ]
    cell, table = _quoted(connection, spec, name)
    # What is no UUID is told by whoever reads it.
    is_known = " OR ".join(form.replace("{c}", cell) for form in _FORMS.values())
    query = (
        f"SELECT min({_ALIKE.replace('{c}', cell)}), count(*) FROM {table} WHERE {is_known} "
        f"GROUP BY {', '.join(alike)} HAVING count(DISTINCT typeof({cell})) > 1 LIMIT 1"
    )
    for value, count in _rows(connection, query):
        forms = next((each for column, each in _mixed(connection, spec) if column == name), {})
        raise TwoFormsError(
            connection.name, f"{spec.name}.{name}", str(UUID(value)), count, _said(connection, spec, name, forms),
            _advice(connection, spec, name, forms),
        )  # fmt: skip


def told_forms(connection: DatabaseConnection, specs: Sequence[TableSpec]) -> Iterator[str]:
    """A sentence for each column with UUIDs in several forms, and each reference to UUIDs in another form."""
    found = {spec.name: dict(_forms(connection, spec)) for spec in specs if connection.columns(spec)}
    by_name = {spec.name: spec for spec in specs}
    for table, columns in found.items():
        spec = by_name[table]
        for name, forms in columns.items():
            if len(forms) > 1:
                said = _said(connection, spec, name, forms)
                yield f"{table}.{name} has UUIDs in {len(forms)} forms, which are not equal to SQLite: {said}."
                yield _advice(connection, spec, name, forms)
        for key in spec.foreign_keys:
            if len(key.columns) == 1:
                ours = columns.get(key.columns[0], {})
                theirs = found.get(key.parent, {}).get(key.parent_columns[0], {})
                if ours and theirs and ours.keys().isdisjoint(theirs):
                    yield (
                        f"{table}.{key.columns[0]} has UUIDs as {' and '.join(ours)}, {key.parent}."
                        f"{key.parent_columns[0]} as {' and '.join(theirs)}: these are not equal to SQLite. "
                        "Write both in one form."
                    )


def _mixed(connection: DatabaseConnection, spec: TableSpec) -> Iterator[tuple[str, Mapping[str, int]]]:
    return ((name, forms) for name, forms in _forms(connection, spec) if len(forms) > 1)


def _forms(connection: DatabaseConnection, spec: TableSpec) -> Iterator[tuple[str, dict[str, int]]]:
    """By column, how many values are UUIDs of each form; one scan of the table."""
    names = [each.name for each in spec.columns if each.type.carrier in _KINDS]
    if not names:
        return
    _, table = _quoted(connection, spec, names[0])
    cells = [_quoted(connection, spec, name)[0] for name in names]
    counts = [f"count(CASE WHEN {_FORMS[form].replace('{c}', cell)} THEN 1 END)" for cell in cells for form in _FORMS]
    row = _rows(connection, f"SELECT {', '.join(counts)} FROM {table}")[0]
    for place, name in enumerate(names):
        part = row[place * len(_FORMS) : (place + 1) * len(_FORMS)]
        yield name, {form: count for form, count in zip(_FORMS, part, strict=True) if count}


def _said(connection: DatabaseConnection, spec: TableSpec, name: str, forms: Mapping[str, int]) -> str:
    """How many rows have each form, and the first of them."""
    return ", ".join(
        f"{form} in {count:,} row{'s' * (count != 1)} (first: {_first(connection, spec, name, form)})"
        for form, count in forms.items()
    )


def _first(connection: DatabaseConnection, spec: TableSpec, name: str, form: str) -> str:
    cell, table = _quoted(connection, spec, name)
    names = spec.key or (name,)
    keys = ", ".join(_quoted(connection, spec, each)[0] for each in names)
    row = _rows(connection, f"SELECT {keys} FROM {table} WHERE {_FORMS[form].replace('{c}', cell)} LIMIT 1")[0]
    shown = (f"X'{value.hex()}'" if isinstance(value, bytes) else str(value) for value in row)
    return ", ".join(f"{each}={shortened(value)}" for each, value in zip(names, shown, strict=True))


def _advice(connection: DatabaseConnection, spec: TableSpec, name: str, forms: Mapping[str, int]) -> str:
    """How all become what the column is declared to have, else what most of them are."""
    cell, table = _quoted(connection, spec, name)
    declared = spec.table.c[name].type.compile(dialect=connection.sqlalchemy.dialect).upper()
    wanted = max(forms, key=lambda each: forms[each], default=_BYTES)
    if any(word in declared for word in ("BINARY", "BLOB")):
        wanted = _BYTES
    elif "CHAR(32)" in declared:
        wanted = _DIGITS
    statement = {
        _BYTES: f"UPDATE {table} SET {cell} = unhex({cell}, '-') WHERE typeof({cell}) = 'text' (SQLite 3.41 or later)",
        _DIGITS: f"UPDATE {table} SET {cell} = {_ALIKE.replace('{c}', cell)}",
    }.get(wanted)
    shown = f", such as: {statement}" if statement else ""
    return f"Write all of them as {wanted} in {connection.name}, and what points at them{shown}."


def _quoted(connection: DatabaseConnection, spec: TableSpec, name: str) -> tuple[str, str]:
    preparer = connection.sqlalchemy.dialect.identifier_preparer
    return preparer.quote(spec.table.c[name].name), preparer.format_table(spec.table)


def _rows(connection: DatabaseConnection, query: str) -> Sequence[Sequence[Any]]:
    with connection.translated():
        return connection.sqlalchemy.execute(sa.text(query.replace(":", r"\:"))).all()
