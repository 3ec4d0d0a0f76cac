"""What Alembic does not compare, by what the history declares of it: checks, and what indexes and columns compute.

The engines write expressions in words of their own, or do not tell them. The history has them in those of the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.operations import ops
from alembic.util.sqla_compat import _get_constraint_final_name as final_name
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext

    from toolkit.operations.migrations.declared_schema import DeclaredTable

_WRITTEN: sa.Dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]


def compare_by_history(
    autogenerate: AutogenContext, changes: ops.ModifyTableOps, said: DeclaredTable, wanted: sa.Table
) -> list[str]:
    """Add the changes of a table; what cannot be compared, in words."""
    found = _Table(autogenerate, changes, said, wanted)
    return [*found.indexes(), *found.checks(), *found.computed()]


class _Table:
    def __init__(
        self, autogenerate: AutogenContext, changes: ops.ModifyTableOps, said: DeclaredTable, wanted: sa.Table
    ) -> None:
        self._autogenerate, self._changes, self._said, self._wanted = autogenerate, changes, said, wanted

    def indexes(self) -> Iterable[str]:
        """Those that were not found to be changed, by expressions, conditions and order."""
        old, new = self._named(self._said.indexes), self._named(self._wanted.indexes)
        touched = {getattr(each, "index_name", None) for each in self._changes.ops}
        for name in old.keys() - new.keys() - touched:
            if self._has_expression(old[name]) and self._is_asked(old[name], name, "index", None):
                self._changes.ops.append(ops.DropIndexOp.from_index(old[name]))
        for name in new.keys() - touched:
            if name in old:
                if _index_parts(old[name]) != _index_parts(new[name]) and self._is_asked(
                    new[name], name, "index", old[name]
                ):
                    self._changes.ops += [
                        ops.DropIndexOp.from_index(old[name]),
                        ops.CreateIndexOp.from_index(new[name]),
                    ]
            elif self._has_expression(new[name]):
                yield f"the expressions of the index {name}"

    def checks(self) -> Iterable[str]:
        """Those of the tables' own, by their names."""
        old, new = self._checks(self._said.constraints), self._checks(self._wanted.constraints)
        there = {each["name"]: each for each in self._reflected()}
        for name in old.keys() - new.keys():
            if name in there and self._is_asked(old[name], name, "check_constraint", None):
                self._changes.ops.append(ops.DropConstraintOp.from_constraint(old[name]))
        for name, check in new.items():
            if name not in there:
                if self._is_asked(check, name, "check_constraint", None):
                    self._changes.ops.append(ops.CreateCheckConstraintOp.from_constraint(check))
            elif name not in old:
                yield f"the condition of the check {name}"
            elif _text(old[name].sqltext) != _text(check.sqltext):
                self._changes.ops += [
                    ops.DropConstraintOp.from_constraint(old[name]),
                    ops.CreateCheckConstraintOp.from_constraint(check),
                ]
        old_texts, new_texts = (
            {_text(each.sqltext) for each in _own_checks(items) if each.name is None}
            for items in (self._said.constraints, self._wanted.constraints)
        )
        if old_texts != new_texts:
            yield "checks without a name"

    def computed(self) -> Iterable[str]:
        """What generated columns are made of: no engine changes that in place."""
        for column in self._wanted.columns:
            said = self._said.columns.get(column.name)
            if column.computed is None or said is None:
                continue
            if said.computed is None or _text(said.computed.sqltext) != _text(column.computed.sqltext):
                yield f"what the generated column {column.name} is made of"

    def _checks(self, constraints: Iterable[sa.Constraint]) -> dict[str, Any]:
        return self._named(each for each in _own_checks(constraints) if each.name is not None)

    def _named(self, items: Iterable[Any]) -> dict[str, Any]:
        dialect: Any = self._autogenerate.dialect
        return {str(final_name(each, dialect)): each for each in items}

    def _reflected(self) -> list[Any]:
        try:
            return self._autogenerate.inspector.get_check_constraints(self._wanted.name, self._wanted.schema)
        except NotImplementedError:
            return []

    def _has_expression(self, index: sa.Index) -> bool:
        return any(not isinstance(each, sa.Column) for each in index.expressions)

    def _is_asked(self, item: Any, name: str, kind: Any, there: Any) -> bool:
        return self._autogenerate.run_object_filters(item, name, kind, False, there)


def _own_checks(constraints: Iterable[sa.Constraint]) -> list[Any]:
    return [
        each for each in constraints if isinstance(each, sa.CheckConstraint) and not getattr(each, "_type_bound", False)
    ]


def _index_parts(index: sa.Index) -> list[str]:
    """What is of an index but its names."""
    conditions = [index.dialect_options[name].get("where") for name in ("postgresql", "sqlite")]
    parts = [*index.expressions, *(each for each in conditions if each is not None)]
    return [_text(each) if isinstance(each, sa.ClauseElement) else _plain(str(each)) for each in parts]


def _text(expression: Any) -> str:
    return _plain(
        str(expression.compile(dialect=_WRITTEN, compile_kwargs={"literal_binds": True, "include_table": False}))
    )


def _plain(sql: str) -> str:
    """Without space and quotes of names; the case of what is no text does not count."""
    return "".join(
        token[0] if token[0][0] == "'" else re.sub(r'[\s"]', "", token[0].lower())
        for token in re.finditer(r"'(?:[^']|'')*'|[^']+", sql)
    )
