"""Which columns of a table have values that would change, or lose what belongs to them, as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote as shell

from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.engines.contract import LossyCast
from toolkit.engines.portable.lossy import ONE_FORM, OTHER_KEY, bare
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.lossy import TEXTS
from toolkit.engines.postgresql.sql import quoted

# What characters say in several ways.
_LOOSE = frozenset({"boolean", "uuid", "timestamp", "timestamptz", "time"})


def lossy_casts(spec: TableSpec, actual: Mapping[str, str], version: int) -> dict[str, LossyCast]:
    """By column, those whose type in the database (`actual`) has such values, or may."""
    names = [column.name for column in spec.columns if column.name in actual]
    conditions = {name: CODEC.adapter(spec.column(name)).lossy(actual[name], quoted(name), version) for name in names}
    found = {name: LossyCast(actual[name], sql) for name, sql in conditions.items() if sql is not None}
    numbers = (name for name in names if actual[name] in ("oid", "lo"))
    return found | {name: _large_objects(spec.name, name, quoted(name), found.get(name)) for name in numbers}


def unlike_keys(spec: TableSpec, actual: Mapping[str, str], version: int) -> dict[str, LossyCast]:
    """By key column of characters, the condition of values that would be written in another form."""
    found: dict[str, LossyCast] = {}
    for column in map(spec.column, spec.key):
        value, type_ = quoted(column.name), actual[column.name]
        cast, wire = matched(column, value, type_, version)
        if wire in _LOOSE and bare(type_) in TEXTS:
            form = ONE_FORM.format(f"as PostgreSQL casts {wire} to text")
            written = CODEC.adapter(column).store(f"({cast})", type_)
            found[column.name] = LossyCast(type_, f"({written})::text <> {value}::text", OTHER_KEY, form)
    return found


def matched(column: ColumnSpec, value: str, actual: str, version: int) -> tuple[str, str]:
    """What of a column, whose quoted name this is, is compared with keys, and the type that these have."""
    adapter = CODEC.adapter(column)
    if bare(actual) not in TEXTS or adapter.wire not in _LOOSE:
        return adapter.matched(value, actual)
    # What cannot be cast is nobody's key.
    lossy = adapter.lossy(actual, value, version)
    cast = f"{value}::{adapter.wire}"
    return cast if lossy is None else f"CASE WHEN NOT coalesce({lossy}, true) THEN {cast} END", adapter.wire


def _large_objects(table: str, column: str, value: str, beside: LossyCast | None) -> LossyCast:
    """The values that are numbers of large objects, whose bytes no column has: Hibernate's @Lob makes such columns."""
    is_number = f"{value} IN (SELECT oid FROM pg_largeobject_metadata)"
    return LossyCast(
        "oid",
        f"{beside.condition} OR {is_number}" if beside else is_number,
        "the number of a large object, whose bytes would stay behind",
        f"Put the bytes into a column of their own (ADD COLUMN … bytea, then UPDATE … SET … = lo_get({value})), or "
        f"leave the column out: --exclude-column {shell(table)}.{shell(column)}.",
    )
