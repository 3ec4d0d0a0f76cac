"""Refusing a migration by the first row whose value its change of a column would not keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, Table, and_, func, inspect, literal_column, select
from sqlalchemy.types import to_instance

from toolkit.errors import MigrationError, UnrepresentableValueError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, ForeignKeyConstraint, FromClause, Index

_ADVICE = (
    "Change such values in a migration before this one (op.execute), or write this one so that it puts what they "
    "become into a new column."
)


def require_none(
    connection: Connection, table: FromClause, column: str, condition: str, problem: str, *, told: str | None = None
) -> None:
    """See that no row meets a condition, in the engine's SQL; `problem` says what it would mean.

    `told` is the column's name for the user, if it is another here.

    Raises:
        UnrepresentableValueError: one does; names it by its primary key.
    """
    keys = [key.name for key in table.primary_key]
    found: Any = connection.execute(
        select(
            *(literal_column(_quoted(connection, name)) for name in [column, *keys]), literal_column("count(*) OVER ()")
        )
        .select_from(table)
        .where(literal_column(condition))
        .limit(1)
    ).first()
    if found is None:
        return
    # Loaded here: it takes 0.1 s, and few migrations come here.
    from toolkit.core.values import shortened

    value, *key, count = found
    row = ", ".join(f"{name}={shortened(str(part))}" for name, part in zip(keys, key, strict=True))
    more = f" ({count} such rows)" if count > 1 else ""
    raise UnrepresentableValueError(
        str(getattr(table, "fullname", table)),
        row or "(a row without a key)",
        told or column,
        f"holds {shortened(_shown(value))}, {problem}{more}",
        _ADVICE,
    )


def _shown(value: Any) -> str:
    return "NULL" if value is None else repr(value) if isinstance(value, str | bytes) else str(value)


def lost_as(type_text: str) -> str:
    """What is wrong with a value that another type does not keep."""
    return f"which would change as {type_text}"


def require_not_null(connection: Connection, table: FromClause, column: str) -> None:
    """See that a column has a value in each row.

    Raises:
        UnrepresentableValueError: one has none.
    """
    require_none(connection, table, column, f"{_quoted(connection, column)} IS NULL", "but it becomes NOT NULL")


def require_parents(connection: Connection, child: Table, key: ForeignKeyConstraint) -> None:
    """See that each row has the one that a new foreign key points at; the columns are those of `child` as it is now.

    Neither SQLite nor DuckDB looks: the one where foreign keys are not enforced, the other never.

    Raises:
        UnrepresentableValueError: one has not.
    """
    targets = [each._column_tokens for each in key.elements]  # noqa: SLF001 - the public one needs the other table
    schema, parent = targets[0][0] or child.schema, targets[0][1]
    there = inspect(connection)
    if not there.has_table(parent, schema):
        return
    own = {each["name"] for each in there.get_columns(child.name, child.schema)}
    columns = {each["name"] for each in there.get_columns(parent, schema)}
    names, referred = [each.name for each in key.columns], [name for _, _, name in targets if name]
    if len(referred) != len(names) or not own.issuperset(names) or not columns.issuperset(referred):
        # A column to come has no values yet; what is not there to be pointed at, is told by the engine.
        return
    format_table = connection.dialect.identifier_preparer.format_table
    of = format_table(Table(child.name, MetaData()))
    mine = [f"{of}.{_quoted(connection, name)}" for name in names]
    # With the other's column first, whose collation counts.
    pairs = [
        f"toolkit_parent.{_quoted(connection, name)} = {value}" for name, value in zip(referred, mine, strict=True)
    ]
    found = f"SELECT 1 FROM {format_table(Table(parent, MetaData(), schema=schema))} AS toolkit_parent"
    has_all = " AND ".join(f"{each} IS NOT NULL" for each in mine)
    condition = f"{has_all} AND NOT EXISTS ({found} WHERE {' AND '.join(pairs)})"
    problem = f"which no row of {parent} has as {', '.join(referred)}"
    require_none(connection, child, names[0], condition, problem)


def require_unique(connection: Connection, index: Index) -> None:
    """See that no two rows are equal in an index over columns that is to be unique.

    Raises:
        MigrationError: some are; names their values.
    """
    table = index.table
    names = [_quoted(connection, each.name) for each in index.columns]
    is_of_columns = all(isinstance(each, Column) for each in index.expressions)
    if not index.unique or table is None or not is_of_columns or _is_partial(index):
        return
    columns: list[ColumnElement[Any]] = [literal_column(name) for name in names]
    has_all = and_(*(column.is_not(None) for column in columns))
    query = select(*columns, func.count()).select_from(table).where(has_all).group_by(*columns).having(func.count() > 1)
    found: Any = connection.execute(query.limit(1)).first()
    if found is not None:
        from toolkit.core.values import shortened

        *values, count = found
        told = ", ".join(
            f"{each.name}={shortened(str(value))}" for each, value in zip(index.columns, values, strict=True)
        )
        # Not `fullname`, which stays the one that a table was made with.
        place = ".".join(each for each in (table.schema, table.name) if each)
        raise MigrationError(
            f"{place}: {count} rows have {told}, which {index.name} is to keep unique.",
            "Correct such rows in a migration before this one (op.execute).",
        )


def _is_partial(index: Index) -> bool:
    return any(options.get("where") is not None for options in index.dialect_options.values())


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)


def instance_of(type_: Any) -> Any:
    """A type that an operation was given as its class, as Alembic takes it too; None stays None."""
    return None if type_ is None else to_instance(type_)
