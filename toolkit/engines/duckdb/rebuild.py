"""What of a table a rebuild on DuckDB can keep, and in which form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Constraint,
    Index,
    MetaData,
    Table,
    UniqueConstraint,
    literal_column,
    select,
    text,
)

from toolkit.core.values import shortened
from toolkit.engines.portable.alembic_batch import identifiers
from toolkit.engines.portable.changed_types import lost_as, require_none, require_not_null
from toolkit.engines.portable.kept_values import lost, require_length, require_members
from toolkit.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Collection

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Connection
    from sqlalchemy.types import TypeEngine

_DEFINITION = text(
    "SELECT sql FROM duckdb_tables() WHERE table_name = :name AND schema_name = coalesce(:schema, current_schema())"
)
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")


_CHILDREN = text(
    "SELECT table_name FROM duckdb_constraints() WHERE database_name = current_database() "
    "AND schema_name = coalesce(:schema, current_schema()) AND referenced_table = :name"
)


def require_copyable(connection: Connection, table: Table) -> None:
    """See that DuckDB drops it, and that nothing is said of it that its catalogue has in no other form than SQL.

    Raises:
        MigrationError: a column has a collation, or another table's foreign key points at it.
    """
    place = {"name": table.name, "schema": table.schema}
    definition = str(connection.scalar(_DEFINITION, place))
    reason = None
    if re.search(r"\bCOLLATE\b", _QUOTED.sub("", definition)):
        reason = "DuckDB would rebuild it, without a column's collation"
    elif re.search(r"\bREFERENCES\b", _QUOTED.sub("", definition)):
        reason = "DuckDB would rebuild it, without its foreign key"
    elif child := connection.scalar(_CHILDREN, place):
        reason = f"DuckDB would rebuild it, and cannot drop a table that a foreign key (of {child}) references"
    if reason is not None:
        raise MigrationError(
            f"{table.fullname} cannot be changed in this way: {reason}.",
            "Write the statements yourself, with op.execute.",
        )


def require_rebuildable(connection: Connection, batch: ApplyBatchImpl, table: Table) -> None:
    """See that it can be made anew, and that its rows fit.

    Raises:
        UnrepresentableValueError: a row has no value for a column that is to have one.
        MigrationError: as from `require_copyable`, or a row breaks a new check.
    """
    require_copyable(connection, table)
    for key, column in batch.columns.items():
        if key in table.columns and table.columns[key].nullable and not column.nullable:
            require_not_null(connection, table, key)
    there = {name: each.type for name, each in table.columns.items()}
    changed = {str(each.name) for each in batch.columns.values() if there.get(str(each.name)) is not each.type}
    for check in {*batch.named_constraints.values(), *batch.unnamed_constraints} - table.constraints:
        if isinstance(check, CheckConstraint):
            _require_checked(connection, table, check, changed)


def _require_checked(connection: Connection, table: Table, check: CheckConstraint, changed: Collection[str]) -> None:
    """Look for a row that breaks a check, unless that is of what the columns are not as yet; DuckDB names none."""
    options = {"literal_binds": True, "include_table": False}
    condition = str(check.sqltext.compile(dialect=connection.dialect, compile_kwargs=options)).replace("%%", "%")
    keys = [each.name for each in table.primary_key]
    if not keys or identifiers(condition) & {*changed}:
        return
    columns: list[Any] = [table.columns[name] for name in keys]
    broken: Any = literal_column(f"NOT ({condition})")
    found = connection.execute(select(*columns).select_from(table).where(broken).limit(1)).first()
    if found is not None:
        row = ", ".join(f"{name}={shortened(str(part))}" for name, part in zip(keys, found, strict=True))
        name = "" if check.name is None else f" {check.name}"
        raise MigrationError(
            f"{table.fullname} {row} does not fit the migration: it breaks the check{name} ({condition}).",
            "Correct such rows in a migration before this one (op.execute).",
        )


def require_kept(connection: Connection, column: Column[Any], type_: TypeEngine[Any], texts: tuple[str, str]) -> None:
    """See that each value of a column is kept by its new type; `texts` are the old one and the new one.

    Raises:
        UnrepresentableValueError: one is not.
    """
    old, new = texts
    require_members(connection, column.table, column.name, type_)
    require_length(connection, column.table, column.name, type_)
    if old != new:
        name = connection.dialect.identifier_preparer.quote_identifier(column.name)
        # What cannot be cast becomes NULL, which is not what it was.
        condition = lost(name, old, new, f"TRY_CAST({name} AS {new})", cast="TRY_CAST")
        require_none(connection, column.table, column.name, f"{name} IS NOT NULL AND {condition}", lost_as(new))


def becomes_index(constraint: Constraint) -> bool:
    """Whether DuckDB has an index for it: only that can be added and dropped."""
    return isinstance(constraint, UniqueConstraint) and constraint.name is not None


def index_of(constraint: UniqueConstraint) -> Index:
    """The unique index that stands for a named unique constraint, on a table of its own."""
    columns = [Column(column.name, column.type) for column in constraint.columns]
    table = Table(constraint.table.name, MetaData(), *columns, schema=constraint.table.schema)
    return Index(str(constraint.name), *table.columns, unique=True)
