"""Rows that were read once and wait in a temporary file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from pathlib import Path
from typing import Self

import pyarrow as pa

from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.streams import only
from toolkit.core.tables import TableSpec


class SpooledRows:
    """One table's rows in a file: a source of rows, and of what else was noted of each."""

    def __init__(self, spec: TableSpec, path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        self.spec = spec
        self._path = path
        self._rows = 0
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
                self._rows += batch.num_rows

    def of(self, spec: TableSpec) -> Self:
        """The same rows, of some of the columns."""
        found = copy(self)
        found.spec = spec
        return found

    def count(self) -> int:
        """Number of rows."""
        return self._rows

    def whole(self) -> Iterator[pa.RecordBatch]:
        """The rows as they were written."""
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_stream(file) as stream:
            yield from stream

    def read(self, batch_rows: int, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys, in the table's canonical schema."""
        names = list(self.spec.column_names)
        rows = (
            part
            for batch in self.whole()
            for part in pa.Table.from_batches([batch.select(names)]).to_batches(batch_rows)
        )
        return rows if keys is None else only(rows, keys)

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        return (keyed_digests(self.spec, batch) for batch in self.read(self._rows or 1))

    def digest(self) -> TableDigest:
        """The digest of all rows."""
        return digest_batches(self.spec, self.read(self._rows or 1))
