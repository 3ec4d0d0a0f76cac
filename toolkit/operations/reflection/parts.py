"""What a table has beside its columns' names and types, each part in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from toolkit.engines.portable.constraints import foreign_key_options

_BRACKETS = re.compile(r"""[()]|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`""")


def parts(table: sa.Table, *, with_foreign_keys: bool = True) -> tuple[str, ...]:
    """Its key, unique constraints, foreign keys, checks, indexes, defaults, numbering and generated columns."""
    foreign_keys = _foreign_keys(table) if with_foreign_keys else ()
    return (*_keys(table), *foreign_keys, *_checks(table), *_indexes(table), *_columns(table))


def _keys(table: sa.Table) -> Iterator[str]:
    if table.primary_key.columns:
        yield f"primary key {_listed(table.primary_key.columns.keys())}"
    for unique in _sorted(table, sa.UniqueConstraint):
        yield f"unique{_name(unique)} {_listed(unique.columns.keys())}"


def _foreign_keys(table: sa.Table) -> Iterator[str]:
    for key in _sorted(table, sa.ForeignKeyConstraint):
        target, options = key.elements[0].target_fullname.rpartition(".")[0], foreign_key_options(key)
        theirs = _listed(each.target_fullname.rpartition(".")[2] for each in key.elements)
        yield " ".join([f"foreign key {_listed(key.column_keys)} to {target} {theirs}", *options])


def _checks(table: sa.Table) -> Iterator[str]:
    for check in _sorted(table, sa.CheckConstraint):
        yield f"check{_name(check)} ({_line(check.sqltext)})"
    for other in table.constraints:
        if other.__visit_name__ == "exclude_constraint":
            yield f"exclusion{_name(other)}"


def _indexes(table: sa.Table) -> Iterator[str]:
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        expressions = (each.name if isinstance(each, sa.Column) else _line(each) for each in index.expressions)
        conditions = (value for name, value in index.dialect_kwargs.items() if name.endswith("_where"))
        condition = next((f" where {_line(each)}" for each in conditions if each is not None), "")
        yield f"{'unique ' if index.unique else ''}index{_name(index)} {_listed(expressions)}{condition}"


def _columns(table: sa.Table) -> Iterator[str]:
    for column in table.columns:
        if column.computed is not None:
            yield f"{column.name} is generated: {_line(column.computed.sqltext)}"
        elif column.identity is not None or column is table.autoincrement_column:
            yield f"{column.name} numbers itself"
        elif isinstance(column.server_default, sa.DefaultClause):
            yield f"default of {column.name}: {_line(column.server_default.arg)}"


def _sorted(table: sa.Table, kind: type[Any]) -> list[Any]:
    found = [each for each in table.constraints if isinstance(each, kind)]
    return sorted(found, key=lambda each: (str(each.name or ""), str([column.name for column in each.columns])))


def _name(part: Any) -> str:
    return f" {part.name}" if isinstance(part.name, str) else ""


def _listed(names: Any) -> str:
    return f"({', '.join(names)})"


def _line(text: Any) -> str:
    """An expression on one line, without brackets that are all around it, and without its table."""
    plain = text.compile(compile_kwargs={"include_table": False}) if isinstance(text, sa.ClauseElement) else text
    line = " ".join(str(plain).split())
    return _line(line[1:-1]) if line.startswith("(") and _closed(line) == len(line) - 1 else line


def _closed(text: str) -> int | None:
    """Where the bracket that a text begins with is closed, as far as texts and names in it tell."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if not depth:
            return found.start()
    return None
