"""Which row of many breaks a constraint of the target, where the database's own error does not say."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from toolkit.core.tables import ForeignKeySpec, TableSpec

if TYPE_CHECKING:
    from toolkit.repositories.base import DatabaseConnection


def first_refused(
    connection: DatabaseConnection, rows: int, refusal: Callable[[int, int], Exception | None]
) -> tuple[int, Exception] | None:
    """The first of so many rows that is refused, and why; None if all are taken after all. Nothing of them stays.

    `refusal` writes so many rows from one on, in a savepoint, and gives the error. A half that is taken stays for what
    comes after it, so that each row is written twice at most.
    """
    first, last = 0, rows
    with _undone(connection):
        while last - first > 1:
            middle = (first + last) // 2
            if refusal(first, middle - first):
                last = middle
            else:
                first = middle
        error = refusal(first, 1)
    return None if error is None else (first, error)


class _UndoneError(Exception):
    """Ends a savepoint by a way that rolls it back."""


@contextmanager
def _undone(connection: DatabaseConnection) -> Iterator[None]:
    with suppress(_UndoneError), connection.savepoint():
        yield
        raise _UndoneError


def as_enforced(connection: DatabaseConnection, spec: TableSpec) -> TableSpec:
    """The table with what the database itself demands of its columns: no NULLs, unique keys, foreign keys."""
    with warnings.catch_warnings():
        # Indexes of expressions, which SQLite's reflection leaves out.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        return _as_enforced(sa.inspect(connection.sqlalchemy), spec)


def _as_enforced(inspector: sa.Inspector, spec: TableSpec) -> TableSpec:
    name, schema = spec.table.name, spec.table.schema
    needed = {column["name"] for column in inspector.get_columns(name, schema) if not column["nullable"]}
    constraints: list[Any] = list(inspector.get_unique_constraints(name, schema))
    indexes = [each for each in inspector.get_indexes(name, schema) if _is_plain(each)]
    # Where an index is of an expression, the name of a column is None.
    keys: list[tuple[Any, ...]] = [tuple(each["column_names"]) for each in (*constraints, *indexes)]
    foreign = (
        ForeignKeySpec(tuple(each["constrained_columns"]), each["referred_table"], tuple(each["referred_columns"]))
        for each in inspector.get_foreign_keys(name, schema)
    )
    known = set(spec.column_names)
    return replace(
        spec,
        columns=tuple(replace(c, nullable=c.nullable and c.name not in needed) for c in spec.columns),
        unique_keys=tuple(dict.fromkeys((*spec.unique_keys, *(key for key in keys if known.issuperset(key))))),
        foreign_keys=tuple(each for each in foreign if known.issuperset(each.columns)),
    )


def _is_plain(index: Any) -> bool:
    """Whether an index keeps columns unique, over all rows."""
    is_partial = any(option.endswith("_where") for option in index.get("dialect_options", ()))
    return bool(index["unique"]) and not is_partial
