"""One table of an engine without an upsert that SQLAlchemy knows: rows there are updated, others then inserted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from toolkit.engines.portable.table import TableRepository


class Steps(NamedTuple):
    """Statements to run one after the other, each for all rows."""

    update: Any
    insert: Any


class SteppedTable(TableRepository):
    """Writes by an UPDATE and an `INSERT … SELECT … WHERE NOT EXISTS`, which every engine has."""

    def upsert_statement(self) -> Any:
        """Both statements; without a key, or data beside it, there is nothing to update."""
        storage = self.connection.codec.storage_table(self.spec)
        bound = {
            name: sa.bindparam(f"p{place}", type_=storage.c[name].type)
            for place, name in enumerate(self.spec.column_names)
        }
        if not self.spec.key:
            return Steps(None, sa.insert(storage).values(bound))
        there = storage.alias("there")
        one: sa.ColumnElement[Any] = sa.literal_column("1")
        same = sa.select(one).where(*(there.c[name] == bound[name] for name in self.spec.key))
        rows = sa.select(*(value.label(name) for name, value in bound.items())).where(~same.exists())
        updated = {name: bound[name] for name in self.spec.updated_names}
        matches = [storage.c[name] == bound[name] for name in self.spec.key]
        update = sa.update(storage).where(*matches).values(updated) if updated else None
        return Steps(update, sa.insert(storage).from_select(list(bound), rows))

    def _execute_many(self, statement: Any, columns: Sequence[Sequence[Any]]) -> None:
        for each in statement if isinstance(statement, Steps) else (statement,):
            if each is not None:
                super()._execute_many(each, columns)
