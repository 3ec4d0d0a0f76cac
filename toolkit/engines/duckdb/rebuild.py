"""What of a table a rebuild on DuckDB can keep, and in which form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Constraint, Index, MetaData, Table, UniqueConstraint, text

from toolkit.engines.portable.changed_types import lost_as, require_none, require_not_null
from toolkit.engines.portable.kept_values import lost, require_members
from toolkit.errors import MigrationError

if TYPE_CHECKING:
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
        reason = "DuckDB would make it anew, without a column's collation"
    elif re.search(r"\bREFERENCES\b", _QUOTED.sub("", definition)):
        reason = "DuckDB would make it anew, without its foreign key"
    elif child := connection.scalar(_CHILDREN, place):
        reason = f"DuckDB would make it anew, and drops no table that a foreign key (of {child}) points at"
    if reason is not None:
        raise MigrationError(
            f"{table.fullname} cannot be changed in this way: {reason}.",
            "Write the statements yourself, with op.execute.",
        )


def require_rebuildable(connection: Connection, batch: ApplyBatchImpl, table: Table) -> None:
    """See that it can be made anew, and that its rows fit.

    Raises:
        UnrepresentableValueError: a row has no value for a column that is to have one.
        MigrationError: as from `require_copyable`.
    """
    require_copyable(connection, table)
    for key, column in batch.columns.items():
        if key in table.columns and table.columns[key].nullable and not column.nullable:
            require_not_null(connection, table, key)


def require_kept(connection: Connection, column: Column[Any], type_: TypeEngine[Any], texts: tuple[str, str]) -> None:
    """See that each value of a column is kept by its new type; `texts` are the old one and the new one.

    Raises:
        UnrepresentableValueError: one is not.
    """
    old, new = texts
    require_members(connection, column.table, column.name, type_)
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
