"""The files of a table: written under names of their own, with statistics; read as one dataset."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct, field

if TYPE_CHECKING:
    from pyarrow import dataset, fs

    from toolkit.engines.delta.storage import Files

# A file is ended behind the row group that takes it to one of these: an upsert writes whole files again.
FILE_BYTES = 16 << 20
ROW_GROUP = 122_880
FILE_ROWS = 2 * ROW_GROUP
# Longer texts are no statistics.
_LONGEST = 64


class DataFile(Struct, frozen=True):
    """A Parquet file of a table, by its path there; `lowest` and `highest` are of columns of simple types."""

    path: str
    size: int
    rows: int
    lowest: Mapping[str, Any] = field(default_factory=dict)
    highest: Mapping[str, Any] = field(default_factory=dict)
    nulls: Mapping[str, int] = field(default_factory=dict)

    def may_hold(self, column: str, lowest: Any, highest: Any) -> bool:
        """Whether the column may have a value between these here, as far as is known."""
        own = self.lowest.get(column), self.highest.get(column)
        if isinstance(lowest, datetime):
            return True  # Others' writers cut the greatest time to milliseconds.
        if None in (*own, lowest, highest) or not all(type(each) is type(lowest) for each in own):
            return True
        return bool(own[0] <= highest and lowest <= own[1])


def as_dataset(files: fs.FileSystem, schema: pa.Schema, found: Sequence[DataFile]) -> dataset.Dataset | pa.Table:
    """The rows of these files."""
    from pyarrow import dataset

    if not found:
        return schema.empty_table()
    plain = pa.schema([each.with_nullable(True) for each in schema])
    # A page that is no longer what was written is an error, not other values.
    checked = dataset.ParquetFragmentScanOptions(page_checksum_verification=True)
    paths, form = [each.path for each in found], dataset.ParquetFileFormat(default_fragment_scan_options=checked)
    return dataset.dataset(paths, schema=plain, filesystem=files, format=form)


class FileWriter:
    """Writes rows into new files, the next when one is large enough; what was written is `written`."""

    def __init__(self, files: Files, schema: pa.Schema) -> None:
        self._files, self._schema = files, schema
        self.written: list[DataFile] = []

    def write(self, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
        """Write all of them; the files are there, whole, when this returns."""
        before = len(self.written)
        waiting: list[pa.RecordBatch] = []
        current: _OneFile | None = None
        for batch in batches:
            if not batch.num_rows:
                continue
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) < ROW_GROUP and _bytes(waiting) < FILE_BYTES:
                continue
            current = current or _OneFile(self._schema)
            current.add(waiting)
            waiting = []
            if current.size >= FILE_BYTES or current.rows >= FILE_ROWS:
                self._put(current)
                current = None
        if waiting:
            current = current or _OneFile(self._schema)
            current.add(waiting)
        if current is not None:
            self._put(current)
        return self.written[before:]

    def _put(self, one: _OneFile) -> None:
        path, content = f"part-{uuid.uuid4().hex}.parquet", one.content()
        described = one.described(path, content.size)
        self.written.append(described)
        self._files.put(path, content)


class _OneFile:
    """A file that is being written, in memory, as it is not large; and what is known of its rows."""

    def __init__(self, schema: pa.Schema) -> None:
        self._stream, self._schema = pa.BufferOutputStream(), schema
        self._writer = pq.ParquetWriter(
            self._stream, schema, compression="zstd", compression_level=1, write_page_checksum=True
        )
        self.rows = 0
        self._known = {each.name: _Range() for each in schema if _is_simple(each.type)}
        self._nulls = {each.name: 0 for each in schema if not pa.types.is_nested(each.type)}

    @property
    def size(self) -> int:
        """The bytes so far."""
        return int(self._stream.tell())

    def add(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Write a row group."""
        table = pa.Table.from_batches(batches)
        table = pa.table([c.cast(f.type) for c, f in zip(table.columns, self._schema, strict=True)], self._schema)
        self._writer.write_table(table, row_group_size=ROW_GROUP)
        self.rows += table.num_rows
        for name in self._nulls:
            self._nulls[name] += table.column(name).null_count
        for name, known in self._known.items():
            known.add(table.column(name))

    def content(self) -> pa.Buffer:
        """All of it, ended."""
        self._writer.close()
        return self._stream.getvalue()

    def described(self, path: str, size: int) -> DataFile:
        """What it is."""
        known = {name: each for name, each in self._known.items() if each.is_told}
        return DataFile(
            path,
            size,
            self.rows,
            {name: each.lowest for name, each in known.items()},
            {name: each.highest for name, each in known.items()},
            self._nulls,
        )


class _Range:
    """The least and the greatest value of a column, as long as they can be told exactly."""

    def __init__(self) -> None:
        self.lowest: Any = None
        self.highest: Any = None
        self._is_exact = True

    @property
    def is_told(self) -> bool:
        """Whether there is a value, and each can be told."""
        return self._is_exact and self.lowest is not None

    def add(self, values: pa.ChunkedArray) -> None:
        """Take note of more values."""
        if not self._is_exact or values.null_count == len(values):
            return
        try:
            least, most = (each.as_py() for each in pc.min_max(values).values())
        except (ValueError, OverflowError):
            self._is_exact = False  # A date that Python has not, nor any reader of statistics.
            return
        if isinstance(least, str) and max(len(least), len(most)) > _LONGEST:
            self._is_exact = False
            return
        self.lowest = least if self.lowest is None else min(self.lowest, least)
        self.highest = most if self.highest is None else max(self.highest, most)


def statistics(file: DataFile) -> str:
    """What the log says of a file's rows."""
    return json.dumps(
        {
            "numRecords": file.rows,
            "minValues": {name: _told(value) for name, value in file.lowest.items()},
            "maxValues": {name: _told(value) for name, value in file.highest.items()},
            "nullCount": dict(file.nulls),
        }
    )


def noted(file: DataFile) -> Mapping[str, Any]:
    """What is known of a file, as JSON holds it."""
    return {"path": file.path, "size": file.size, "statistics": statistics(file)}


def of_note(note: Mapping[str, Any], schema: pa.Schema) -> DataFile:
    """A file as `noted` told of it."""
    told = json.loads(note["statistics"])
    lowest, highest = (
        {name: _untold(value, schema.field(name).type) for name, value in told[side].items()}
        for side in ("minValues", "maxValues")
    )
    return DataFile(str(note["path"]), int(note["size"]), int(told["numRecords"]), lowest, highest, told["nullCount"])


def now() -> int:
    """Milliseconds, as the log has times."""
    return int(time.time() * 1000)


def _told(value: Any) -> Any:
    if hasattr(value, "utcoffset"):
        text = value.isoformat(timespec="microseconds")
        return text.replace("+00:00", "Z")
    return value.isoformat() if hasattr(value, "isoformat") else value


def _untold(value: Any, type_: pa.DataType) -> Any:
    if pa.types.is_timestamp(type_):
        return datetime.fromisoformat(value)
    return date.fromisoformat(value) if pa.types.is_date32(type_) else value


def _is_simple(type_: pa.DataType) -> bool:
    """Whether statistics of it are told without loss, and read as they were: of decimals and floats, they are not."""
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_string(type_)
        or pa.types.is_date32(type_)
        or pa.types.is_timestamp(type_)
    )


def _bytes(batches: Sequence[pa.RecordBatch]) -> int:
    return sum(batch.nbytes for batch in batches)
