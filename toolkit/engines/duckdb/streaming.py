"""Rows on their way into DuckDB: as it takes them, and one statement for any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from toolkit.engines.portable.table import TableRepository
from toolkit.errors import UnnamedRowError

if TYPE_CHECKING:
    from toolkit.engines.duckdb.session import DuckDBSession

INCOMING = "toolkit_incoming"


class StreamingRepository(TableRepository):
    """A table into which rows come under positional names, from what is called `INCOMING`."""

    connection: DuckDBSession
    _refusals = (duckdb.IntegrityError, duckdb.DataError, sa.exc.IntegrityError, sa.exc.DataError)

    @contextmanager
    def _streaming(self, batches: Iterable[pa.RecordBatch]) -> Iterator[list[int]]:
        """Let a statement within the block read all rows, in any number; the one number is how many it has read.

        Raises:
            UnnamedRowError: one is refused; `why_refused` finds it.
        """
        names = [f"c{i}" for i in range(len(self.spec.columns))]
        failure: list[BaseException] = []
        count = [0]

        def incoming() -> Iterator[pa.RecordBatch]:
            try:
                for batch in batches:
                    count[0] += batch.num_rows
                    yield self._outgoing(batch).rename_columns(names)
            except GeneratorExit:  # DuckDB wants no more.
                raise
            except BaseException as error:
                # DuckDB would raise an error of its own in its place.
                failure.append(error)
                raise

        schema, raw = self._outgoing(self.spec.schema.empty_table()).rename_columns(names).schema, self.connection.raw
        raw.register(INCOMING, pa.RecordBatchReader.from_batches(schema, incoming()))
        try:
            # Why a row is refused is asked of a transaction that has not failed.
            with self.connection.translated(), self.connection.savepoint():
                yield count
        except BaseException as error:
            if not failure and isinstance(error.__cause__, self._refusals):
                raise UnnamedRowError(self.connection.name, self.connection.reason(error.__cause__)) from error
            raise (failure[0] if failure else error) from error
        finally:
            raw.unregister(INCOMING)

    def _outgoing(self, rows: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """Rows, which may lack some of the columns, with their values as this engine takes them."""
        outgoing = partial(self.connection.codec.outgoing, self.spec, database=self.connection.name)
        if isinstance(rows, pa.RecordBatch):
            return outgoing(rows)
        batches = rows.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], rows.schema)]
        return pa.Table.from_batches(list(map(outgoing, batches)))
