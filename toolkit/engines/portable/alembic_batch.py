"""What Alembic's batch mode leaves undone when copying a table: CHECKs and indexes following columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, UniqueConstraint, text

from toolkit.core.implicit_names import implicit_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Inspector, Table, TextClause

Unnamed = tuple[type[Constraint], list[str]]
"""A constraint without a name: what it is, and its columns."""
# A text, a quoted identifier, or a plain one that is not the name of a function.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b[A-Za-z_]\w*\b(?!\s*\()""")


def follow_columns(batch: ApplyBatchImpl, table: Table) -> None:
    """Drop CHECKs and indexes over columns that go, and let expressions name renamed columns by their new names.

    To be called by an implementation's `prep_table_for_batch`.
    """
    assert batch.new_table is not None
    gone = set(table.columns.keys()) - set(batch.columns)
    renamed = {key: column.name for key, column in batch.columns.items() if key != column.name}
    for name, index in list(batch.indexes.items()):
        if gone & {column.name for column in index.columns}:
            del batch.indexes[name]
    for check in [each for each in batch.new_table.constraints if isinstance(each, CheckConstraint)]:
        condition = _written(check.sqltext)
        if gone & identifiers(condition):
            batch.new_table.constraints.discard(check)
        elif renamed.keys() & identifiers(condition):
            check.sqltext = with_names(condition, renamed)
    for column in batch.new_table.columns:
        if column.computed is not None and renamed:
            column.computed.sqltext = with_names(_written(column.computed.sqltext), renamed)


def unnamed_constraints(inspector: Inspector, table_name: str, schema: str | None) -> dict[str, Unnamed]:
    """The constraints of a table that have no name, by that which PostgreSQL would give them."""
    found: dict[str, Unnamed] = {}
    for unique in inspector.get_unique_constraints(table_name, schema):
        if unique["name"] is None:
            columns = unique["column_names"]
            found[implicit_name(table_name, columns, "key")] = (UniqueConstraint, columns)
    for key in inspector.get_foreign_keys(table_name, schema):
        if key["name"] is None:
            columns = key["constrained_columns"]
            found[implicit_name(table_name, columns, "fkey")] = (ForeignKeyConstraint, columns)
    return found


def without_unnamed(batch: ApplyBatchImpl, dropped: Collection[Unnamed]) -> None:
    """Leave such constraints out of the new table; one of a name over the same columns stays."""
    assert batch.new_table is not None
    for constraints in (batch.unnamed_constraints, batch.new_table.constraints):
        for each in list(constraints):
            place = type(each), [column.name for column in getattr(each, "columns", ())]
            if each.name is None and place in dropped:
                constraints.remove(each)


def unquoted_identifier(identifier: str) -> str:
    """The name that an identifier stands for."""
    return identifier[1:-1].replace('""', '"') if identifier[:1] == '"' else identifier


def identifiers(expression: str) -> set[str]:
    """The names in an expression but those of functions, as written."""
    tokens = [token[0] for token in _TOKEN.finditer(expression)]
    return {unquoted_identifier(token) for token in tokens if token[0] != "'"}


def _written(expression: Any) -> str:
    """An expression as the database has it: in a text, a colon that is no parameter's is escaped."""
    return str(getattr(expression, "text", "")).replace("\\:", ":")


def with_names(expression: str, names: Mapping[str, str]) -> TextClause:
    """An expression of columns that have other names now."""

    def renamed(token: re.Match[str]) -> str:
        name = None if token[0][0] == "'" else names.get(unquoted_identifier(token[0]))
        return token[0] if name is None else '"{}"'.format(name.replace('"', '""'))

    return text(_TOKEN.sub(renamed, expression).replace(":", "\\:"))
