"""What SQLAlchemy's reflection says of a database's tables, for engines whose own catalogue is not asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.reflection import ObjectKind

from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, StoredTable, TableFacts
from toolkit.engines.portable.refusals import unique_keys
from toolkit.engines.portable.unknown_types import types_unknown


def reflected_facts(connection: sa.Connection, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
    """What there is of these tables, by name; without those that are not there."""
    inspector, found = sa.inspect(connection), {}
    for schema in dict.fromkeys(spec.table.schema for spec in specs):
        ours = {spec.table.name: spec for spec in specs if spec.table.schema == schema}
        wanted: dict[str, Any] = {"schema": schema, "filter_names": list(ours), "kind": ObjectKind.ANY}
        with types_unknown():
            columns, keys = inspector.get_multi_columns(**wanted), inspector.get_multi_pk_constraint(**wanted)
        for place, reflected in columns.items():
            spec, primary = ours[place[1]], keys.get(place)
            unique = [tuple(primary["constrained_columns"]) if primary else (), *unique_keys(inspector, spec)]
            found[spec.name] = TableFacts(
                {each["name"]: _column(connection, each) for each in reflected},
                frozenset(frozenset(each) for each in unique if each),
            )
    return found


def _column(connection: sa.Connection, column: Any) -> ColumnFacts:
    is_untyped = isinstance(column["type"], sa.types.NullType)
    type_ = "" if is_untyped else column["type"].compile(connection.dialect)
    has_value = column["nullable"] or column["default"] is not None or "identity" in column or "computed" in column
    is_required = not has_value and column.get("autoincrement") is not True
    return ColumnFacts(type_, is_computed="computed" in column, cast=type_, is_required=is_required)


def reflected_tables(connection: sa.Connection) -> Iterator[StoredTable]:
    """All tables that are found without a schema's name, with their columns."""
    inspector = sa.inspect(connection)
    with types_unknown():
        found = inspector.get_multi_columns()
    for (schema, name), columns in sorted(found.items(), key=lambda each: str(each[0])):
        yield StoredTable(name, schema, tuple(column["name"] for column in columns), name)
