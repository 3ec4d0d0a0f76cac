"""One table of a database, as far as rows that are there get other values in some columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.batches import BATCH_ROWS
from toolkit.engines.portable.sifted_table import SiftedTable


class UpdatedTable(SiftedTable):
    """Writes single columns, and nothing else: neither other columns nor what the database would set by itself."""

    def update_many(self, rows: pa.Table) -> int:
        """Give rows that are there other values in some columns: `rows` holds these and the key; the number of rows."""
        spec = self.spec.project(rows.column_names)
        storage = self.connection.codec.storage_table(self.spec)
        bound = {name: sa.bindparam(f"p{i}", type_=storage.c[name].type) for i, name in enumerate(spec.column_names)}
        matches = [storage.c[name] == bound[name] for name in spec.key]
        others = {name: value for name, value in bound.items() if name not in spec.key}
        statement = sa.update(storage).where(*matches).values(self._with_kept(storage, others))
        with self.connection.translated():
            for batch in rows.to_batches(max_chunksize=self._fitting_rows(BATCH_ROWS)):
                self._execute_many(statement, self.connection.codec.encode(spec, batch, self.connection.name))
        return int(rows.num_rows)

    def compare_and_set(self, column: str, keys: pa.Table, held: Sequence[str | None], values: pa.Array) -> list[bool]:
        """Give one column of the rows with these keys new values, each only if it still holds that text; which took.

        `held` is what `read` gave, of a column that travels as text. Nothing else of the rows is written: neither
        other columns nor what `onupdate` would set.
        """
        storage = self.connection.codec.storage_table(self.spec)
        encode = self.connection.codec.encode_column
        new = encode(self.spec.column(column), values)
        rows = keys.combine_chunks().to_batches()[0]
        names = keys.column_names
        encoded = zip(*(encode(self.spec.column(name), rows.column(name)) for name in names), strict=True)
        cell = storage.c[column]
        took = []
        for key, old, value in zip(encoded, held, new, strict=True):
            own = [storage.c[name] == part for name, part in zip(names, key, strict=True)]
            unchanged = cell.is_(None) if old is None else sa.cast(cell, sa.Text) == old
            statement = sa.update(storage).where(*own, unchanged).values(self._with_kept(storage, {column: value}))
            with self.connection.translated():
                took.append(self.connection.sqlalchemy.execute(statement).rowcount == 1)
        return took

    def _kept(self) -> Iterable[str]:
        """The columns that the database itself changes with each update that says nothing of them."""
        return ()

    def _with_kept(self, storage: sa.Table, values: Mapping[str, Any]) -> dict[Any, Any]:
        """What an update says, so that nothing else is changed by it."""
        kept = [name for name in self._kept() if name not in values]
        for name in kept:
            if name not in storage.c:
                storage.append_column(sa.Column(name, sa.types.NullType()))
        return {**values, **{name: storage.c[name] for name in kept}}

    @abstractmethod
    def _fitting_rows(self, batch_rows: int) -> int:
        """How many rows a batch may have."""

    @abstractmethod
    def _execute_many(self, statement: Any, columns: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of these columns."""
