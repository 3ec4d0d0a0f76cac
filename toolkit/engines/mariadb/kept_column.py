"""Refusing a change of a column's type that would round, cut or pad a value: MariaDB does much of it without a word."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from toolkit.core.verbatim import verbatim
from toolkit.engines.mariadb.column_definition import ColumnDefinition, keyed
from toolkit.engines.mariadb.dialect import CHARSET, COLLATION
from toolkit.engines.mariadb.types import BYTES, TEXTS, actual_type
from toolkit.engines.portable.changed_types import lost_as, require_none

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Table

_STAGE = "toolkit_change"
_OLD, _NEW, _BACK = "toolkit_old", "toolkit_new", "toolkit_back"


@contextmanager
def keeping_values(connection: Connection, column: ColumnDefinition, new: str) -> Iterator[None]:
    """See that each value comes back from the new type as it was, and keep others from writing until it is changed.

    All of them are converted as the change will do it, into a temporary table, and from there back again.

    Raises:
        UnrepresentableValueError: one does not.
    """
    preparer = connection.dialect.identifier_preparer
    quote, place = preparer.quote_identifier, preparer.format_table(column.table)
    keys = [quote(key.name) for key in column.table.primary_key]
    name, listed = quote(column.name), ", ".join(keys)
    comma = f"{listed}, " if keys else ""

    def run(statement: str) -> None:
        # Past whoever notes what a migration does: nothing of it stays.
        cursor = connection.connection.cursor()
        cursor.execute(statement.replace("%%", "%"))
        cursor.close()

    with locked(connection, column.table):
        run(f"CREATE TEMPORARY TABLE {_STAGE} ENGINE=InnoDB AS SELECT {comma}{name} AS {_OLD} FROM {place} LIMIT 0")
        try:
            run(f"ALTER TABLE {_STAGE} ADD {_NEW} {new} NULL, ADD {_BACK} {column.type} NULL")
            run(
                f"INSERT IGNORE INTO {_STAGE} ({comma}{_OLD}, {_NEW}) SELECT {comma}{name}, {name} FROM {place} "
                f"WHERE {name} IS NOT NULL"
            )
            run(f"UPDATE IGNORE {_STAGE} SET {_BACK} = {_NEW}")
            _require_same(connection, column, new)
        finally:
            run(f"DROP TEMPORARY TABLE {_STAGE}")
        yield


@contextmanager
def locked(connection: Connection, table: Table) -> Iterator[None]:
    """Keep others from writing to a table; what was done before is committed."""
    place = connection.dialect.identifier_preparer.format_table(table)
    connection.execute(verbatim(f"LOCK TABLES {place} WRITE".replace("%%", "%")))
    try:
        yield
    finally:
        connection.execute(verbatim("UNLOCK TABLES"))


def _require_same(connection: Connection, column: ColumnDefinition, new: str) -> None:
    stage: Any = keyed(_STAGE, [key.name for key in column.table.primary_key])
    actual = actual_type(column.type).name
    # By their digests: of values longer than max_allowed_packet, BINARY would make NULL.
    old, back = (f"sha2({each}, 256)" if actual in TEXTS | BYTES else each for each in (_OLD, _BACK))
    changed = f"NOT ({old} <=> {back})"
    if actual == "enum" and actual_type(new).name in TEXTS | {"enum"}:
        # A label is taken for one of another case, and comes back.
        told_old, told_new = (f"CONVERT({each} USING {CHARSET}) COLLATE {COLLATION}" for each in (_OLD, _NEW))
        changed += f" OR NOT ({told_old} <=> {told_new})"
    # As what the user knows it by.
    stage.fullname = column.table.fullname
    require_none(connection, stage, _OLD, changed, lost_as(new.partition(" COLLATE")[0]), told=column.name)
