"""Fixtures: one table's rows as a JSON file `<table>.json`, an array of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from toolkit.core.digest import TableDigest, digest_batches, keyed_digests
from toolkit.core.streams import only
from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.values import parse_json_value
from toolkit.errors import FixtureError, UnknownNameError


class FixtureDirectory:
    """A directory of fixtures, read as a source of rows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def name(self) -> str:
        """The directory, for messages."""
        return str(self.directory)

    def has(self, spec: TableSpec) -> bool:
        """Whether there is a file for the table."""
        return self.path(spec).is_file()

    def path(self, spec: TableSpec) -> Path:
        """The table's file."""
        return self.directory / f"{spec.name}.json"

    def repository(self, spec: TableSpec) -> FixtureRepository:
        """One table's rows."""
        return FixtureRepository(spec, self.path(spec))


class FixtureRepository:
    """One fixture file as a source of rows."""

    def __init__(self, spec: TableSpec, path: Path) -> None:
        self.spec = spec
        self.path = path

    def count(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def read(self, batch_rows: int, keys: pa.Table | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, or those with these keys, in the canonical schema.

        Raises:
            FixtureError: a value that is none of its column's, named with its row.
        """
        batches = (self._batch(start, batch_rows) for start in range(0, len(self._rows), batch_rows))
        return batches if keys is None else only(batches, keys)

    def row_digests(self) -> Iterator[pa.RecordBatch]:
        """Key columns and digest of every row."""
        for batch in self.read(len(self._rows) or 1):
            yield keyed_digests(self.spec, batch)

    def digest(self) -> TableDigest:
        """The digest of all rows."""
        return digest_batches(self.spec, self.read(len(self._rows) or 1))

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        try:
            rows = msgspec.json.decode(self.path.read_bytes())
        except OSError as error:
            raise FixtureError(str(self.path), f"cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FixtureError(str(self.path), f"is not valid JSON: {error}") from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise FixtureError(str(self.path), "is not an array of objects")
        for number, row in enumerate(rows, start=1):
            self._check_names(number, row)
        return rows

    def _check_names(self, number: int, row: Mapping[str, Any]) -> None:
        known = self.spec.column_names
        for name in row:
            if name not in known:
                raise UnknownNameError("column", name, known, f"{self.path}, row {number}")
        for column in self.spec.columns:
            if column.name not in row and not column.nullable:
                raise FixtureError(str(self.path), f"row {number} lacks {column.name!r}, which may not be NULL")

    def _batch(self, start: int, count: int) -> pa.RecordBatch:
        rows = self._rows[start : start + count]
        columns = [self._column(column, rows, start) for column in self.spec.columns]
        return pa.record_batch(columns, schema=self.spec.schema)

    def _column(self, column: ColumnSpec, rows: list[dict[str, Any]], start: int) -> pa.Array:
        values = []
        for number, row in enumerate(rows, start=start + 1):
            try:
                values.append(parse_json_value(column.type, row.get(column.name)))
                pa.scalar(values[-1], column.type.arrow)
            except (ValueError, OverflowError, pa.ArrowException) as error:
                shown = repr(row.get(column.name))[:80]
                raise FixtureError(
                    str(self.path), f"row {number}, column {column.name!r}: {shown} {_reason(error)}"
                ) from error
        return pa.array(values, column.type.arrow)


def _reason(error: Exception) -> str:
    return str(error) if type(error) is ValueError else "does not fit into its column"
