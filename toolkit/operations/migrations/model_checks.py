"""Checks of models that an engine has no place for: named before anything is made, as its own error names no column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from toolkit.core.sql_text import tokens, unquoted
from toolkit.errors import SchemaMismatchError
from toolkit.operations.reflection.created_numbers import numbered_key

if TYPE_CHECKING:
    from toolkit.config import Database

_NUMBERED, _CHANGED = "numbers itself, as {} does", "its foreign key's action changes, as it does {}"


def require_checks(database: Database, tables: Iterable[sa.Table]) -> None:
    """Check that no check, and no stored value, rests on a column that the engine changes by itself, where none may.

    Raises:
        SchemaMismatchError: with all of them.
    """
    if database.kind.features.constrains_changed:
        return
    problems = [problem for table in tables for problem in _problems(database, table)]
    if problems:
        raise SchemaMismatchError(
            problems,
            "Have the models make it elsewhere alone, as a constraint of the table: CheckConstraint(…).ddl_if(dialect="
            '("postgresql", "sqlite")); give the column autoincrement=False, if rows bring their numbers; or make the '
            f"tables of {database.name} before. Nothing was made.",
        )


def _problems(database: Database, table: sa.Table) -> Iterator[str]:
    changed = _changed(table)
    for what, expression in _expressions(table):
        for name in sorted(_columns(expression, table) & changed.keys()):
            text = expression.compile(compile_kwargs={"literal_binds": True})
            where = f"{table.fullname} cannot have {what} ({text}) in {database.name}"
            yield f"{where}: {database.kind.title} has none over a column that {changed[name].format(name)}"


def _changed(table: sa.Table) -> dict[str, str]:
    """The columns that the engine changes by itself, with how."""
    found: dict[str, str] = {}
    for key in table.foreign_key_constraints:
        actions = {(each or "").upper() for each in (key.onupdate, key.ondelete)}
        if "SET NULL" in actions or (key.onupdate or "").upper() == "CASCADE":
            found |= dict.fromkeys((column.name for column in key.columns), _CHANGED)
    numbered = numbered_key(table)
    return found if numbered is None else found | {numbered.name: _NUMBERED}


def _expressions(table: sa.Table) -> Iterator[tuple[str, Any]]:
    for each in table.constraints:
        # What the models make on some engines alone, and what SQLAlchemy itself does.
        if isinstance(each, sa.CheckConstraint) and each._ddl_if is None and each._create_rule is None:  # noqa: SLF001
            yield _check(each), each.sqltext
    for column in table.columns:
        for own in column.constraints - table.constraints:
            # Of these, SQLAlchemy asks nothing.
            if isinstance(own, sa.CheckConstraint):
                yield _check(own), own.sqltext
        if column.computed is not None and column.computed.persisted:
            yield f"the stored column {column.name}", column.computed.sqltext


def _check(constraint: sa.CheckConstraint) -> str:
    return f"the check {constraint.name}" if isinstance(constraint.name, str) else "the check"


def _columns(expression: Any, table: sa.Table) -> set[str]:
    """Those of the table's columns that are named in a condition."""
    found = {each.name for each in visitors.iterate(expression) if isinstance(each, sa.Column)}
    text = getattr(expression, "text", None)
    words = {unquoted(each).casefold() for each in tokens(text) if not each.startswith("'")} if text else set()
    return found | {each.name for each in table.columns if each.name.casefold() in words}
