"""Tables of a target that have no unique index of their key, which the user gave: rows are looked up, then written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec import Struct

from toolkit.core.batches import BATCH_ROWS
from toolkit.core.streams import only, without

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.contract import Connection, Table


def is_unenforced(spec: TableSpec, target: Connection) -> bool:
    """Whether neither the table says that its rows have this key nor the target keeps it unique."""
    return bool(spec.key) and not spec.has_own_key and not target.repository(spec).has_key()


class UnenforcedTable(Struct, frozen=True):
    """Writes such a table; that no two of its rows share a key was seen before."""

    table: Table

    def load(self, batches: Iterable[pa.RecordBatch], rows: int) -> int:
        """Fill the table, as `Table.load` does."""
        return self._inserting.load(batches, rows)

    def why_refused(self, batches: Iterable[pa.RecordBatch], error: Any) -> Any:
        """Why these rows could not fill the empty table."""
        return self._inserting.why_refused(batches, error)

    def upsert_many(self, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert or update rows, as `Table.upsert_many` does."""
        return sum(map(self._upsert, batches))

    @property
    def _inserting(self) -> Table:
        """The same table, as one without a key."""
        return self.table.connection.repository(replace(self.table.spec, key=()))

    def _upsert(self, batch: pa.RecordBatch) -> int:
        spec = self.table.spec
        keys = pa.Table.from_batches([batch]).select(list(spec.key))
        narrow = self.table.connection.repository(spec.without_conditions().project(spec.key))
        # Without an index, each look-up by key would read the table as well.
        there = pa.Table.from_batches(only(narrow.read(BATCH_ROWS), keys), spec.key_schema)
        for part in only([batch], there) if spec.updated_names else ():
            self.table.update_many(pa.Table.from_batches([part]).select([*spec.key, *spec.updated_names]))
        self._inserting.upsert_many(part for part in without([batch], there) if part.num_rows)
        return int(batch.num_rows)
