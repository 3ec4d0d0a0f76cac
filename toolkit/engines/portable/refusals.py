"""Which row of many breaks a constraint of the target, where the database's own error does not say."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from toolkit.core.tables import ForeignKeySpec, TableSpec
from toolkit.engines.contract import Connection
from toolkit.engines.portable.unknown_types import types_unknown


def first_refused(
    connection: Connection, rows: int, refusal: Callable[[int, int], Exception | None]
) -> tuple[int, Exception] | None:
    """The first of so many rows that is refused, and why; None if all are taken after all. Nothing of them stays.

    `refusal` writes so many rows from one on, in a savepoint, and gives the error. A half that is taken stays for what
    comes after it, so that each row is written twice at most.
    """
    first, last = 0, rows
    with undone(connection):
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
def undone(connection: Connection) -> Iterator[None]:
    """Undo what the block does, however it ends."""
    with suppress(_UndoneError), connection.savepoint():
        yield
        raise _UndoneError


def as_enforced(connection: Connection, spec: TableSpec) -> TableSpec:
    """The table with what the database itself demands of its columns: no NULLs, unique keys, foreign keys."""
    inspector = sa.inspect(connection.sqlalchemy)
    name, schema = spec.table.name, spec.table.schema
    needed = never_null(inspector, spec)
    keys = unique_keys(inspector, spec)
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


def never_null(inspector: sa.Inspector, spec: TableSpec) -> frozenset[str]:
    """The columns that take no NULL in a database."""
    with types_unknown():
        columns = inspector.get_columns(spec.table.name, spec.table.schema)
    return frozenset(column["name"] for column in columns if not column["nullable"])


def unique_keys(inspector: sa.Inspector, spec: TableSpec) -> list[tuple[str, ...]]:
    """The columns that a database keeps unique together, over all rows, beside its primary key."""
    name, schema = spec.table.name, spec.table.schema
    with warnings.catch_warnings():
        # SQLite's reflection leaves indexes of expressions out; elsewhere the name of such a column is None.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        found: list[Any] = [*inspector.get_unique_constraints(name, schema)]
        indexes = inspector.get_indexes(name, schema)
    found += [each for each in indexes if each["unique"] and not _is_partial(each)]
    return [tuple(each["column_names"]) for each in found if None not in each["column_names"]]


def _is_partial(index: Any) -> bool:
    return any(option.endswith("_where") for option in index.get("dialect_options", ()))
