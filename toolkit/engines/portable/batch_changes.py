"""What the operations of one of Alembic's batches change of a table, as far as SQLAlchemy's objects tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import PrimaryKeyConstraint

if TYPE_CHECKING:
    from collections.abc import Callable

    from alembic.operations.batch import ApplyBatchImpl
    from sqlalchemy import Column, Table


def default_of(column: Column[Any]) -> Any:
    """What was given as the default on the server: the object around it is copied with the column."""
    return getattr(column.server_default, "arg", None)


class BatchChanges:
    """The columns that go, get another name or change, and the constraints that go; names in small letters."""

    def __init__(
        self, batch: ApplyBatchImpl, old: Table, changes_type: Callable[[Column[Any], Column[Any]], bool]
    ) -> None:
        assert batch.new_table is not None
        self.table = old.name
        self.names = {key.lower(): str(each.name).lower() for key, each in batch.columns.items() if key != each.name}
        """The old names of columns with the new ones."""
        self.gone = frozenset(each.name.lower() for each in old.columns if each.name not in batch.columns)
        self._changed = {
            each.name.lower(): frozenset(_changes(each, new, changes_type))
            for each in old.columns
            if (new := batch.columns.get(each.name)) is not None
        }
        kept = {*batch.named_constraints.values(), *batch.unnamed_constraints}
        self.removed = [each for each in old.constraints - kept if not isinstance(each, PrimaryKeyConstraint)]
        indexes = {str(each.name): each for each in old.indexes}
        self.dropped_indexes = {name: each for name, each in indexes.items() if name not in batch.indexes}
        keys = [[each.key.lower() for each in table.primary_key.columns] for table in (old, batch.new_table)]
        self.changes_key = keys[0] != keys[1]

    def of_column(self, name: str) -> frozenset[str]:
        """Of `type`, `nullable`, `default` and `comment` those that change."""
        return self._changed.get(name.lower(), frozenset())

    def new_name(self, name: str) -> str:
        """How a column is called afterwards, in small letters."""
        return self.names.get(name.lower(), name.lower())


def _changes(old: Column[Any], new: Column[Any], changes_type: Callable[[Column[Any], Column[Any]], bool]) -> set[str]:
    found = {
        "type": changes_type(old, new),
        "nullable": old.nullable != new.nullable,
        "default": default_of(old) is not default_of(new),
        "comment": old.comment != new.comment,
    }
    return {name for name, is_so in found.items() if is_so}
