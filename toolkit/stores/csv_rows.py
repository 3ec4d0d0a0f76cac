"""The rows of a CSV or TSV file: every field text; an empty field without quotes is NULL, `""` is an empty text."""

from __future__ import annotations

import csv as python_csv
import io
import sys
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import csv

from toolkit.stores.csv_quotes import Quotes
from toolkit.stores.json_rows import RowsError

T = TypeVar("T")
# Arrow takes no row that is longer than a block.
_BLOCK = 16 << 20
_ROWS = 8_192
# As much of a file as is searched for its header.
_PEEKED = 1 << 20
NOT_UTF8 = "is not UTF-8 text (is it Latin-1? save it as UTF-8)"
# What others put between fields.
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


class CsvRows:
    """The rows of a file, and the names in its header; `separator` stands between its fields.

    A row that has more or fewer fields than the header, or that is no UTF-8, is given to `refused` with its line;
    reading goes on behind it. Blank lines are passed over, and not counted.

    Raises:
        RowsError: there is no header that can be used.
    """

    def __init__(self, chunks: Iterator[bytes], refused: Callable[[int, str], None], separator: str = ",") -> None:
        self._quotes = Quotes(separator)
        self._file = _Chunks(self._quotes.watched(chunks))
        self._refused = refused
        self._separator = separator
        self._uneven: dict[int, csv.InvalidRow] = {}
        self.header = self._header()

    def rows(self, convert: Callable[[int, Mapping[str, str | None]], T]) -> Iterator[tuple[int, T]]:
        """The line of each row (the header has 1) and what `convert` makes of its fields by name.

        Raises:
            RowsError: the file cannot be read on.
        """
        row, above = 1, 0
        try:
            for batch in self._batches():
                for fields in _decoded(batch):
                    row, above = self._next(row, above)
                    if fields is None:
                        self._refused(row + above, NOT_UTF8)
                        continue
                    yield row + above, convert(row + above, fields)
                    above += sum(text.count("\n") for text in fields.values() if text)
            self._next(row, above)
        except pa.ArrowException as error:
            text = str(error).partition("\n")[0]
            long = f"a row of more than {_BLOCK >> 20} MB is not read, or a quote is missing"
            raise RowsError(row + above + 1, long if "straddl" in text else f"cannot be read on: {text}") from error
        if self._quotes.problem is not None:
            raise RowsError(*self._quotes.problem)

    def require_separated(self, known: Container[str]) -> None:
        """Refuse a header that is one name to nobody's knowledge, but several with another separator.

        Raises:
            RowsError: there is another one between its names.
        """
        (name, *others) = self.header
        if others or name in known:
            return
        for other, shown in _SEPARATORS.items():
            if other in name and other != self._separator:
                usual = _SEPARATORS[self._separator]
                raise RowsError(1, f"has {shown} between its fields, where {usual} are read (tabs in a .tsv file)")

    def _header(self) -> list[str]:
        try:
            text = self._file.peek().decode("utf-8-sig", "replace")
            header = next(filter(None, python_csv.reader(io.StringIO(text, newline=""), delimiter=self._separator)), [])
        except python_csv.Error as error:
            raise RowsError(1, f"is not a header of a CSV file: {error}") from error
        if not any(name.strip() for name in header):
            raise RowsError(1, "the file is empty; a line with the names of columns is expected")
        if len(set(header)) < len(header):
            raise RowsError(1, "two columns have the same name")
        return header

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with _without_word(self._skip):
            reader = csv.open_csv(
                pa.PythonFile(self._file, "r"),
                csv.ReadOptions(block_size=_BLOCK, use_threads=False),
                csv.ParseOptions(delimiter=self._separator, newlines_in_values=True, invalid_row_handler=self._skip),
                csv.ConvertOptions(
                    check_utf8=False,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    column_types=dict.fromkeys(self.header, pa.string()),
                ),
            )
        if _names(reader.schema) != self.header:
            raise RowsError(1, "the names of columns cannot be told apart: is there a quote too many?")
        for block in iter(lambda: self._block(reader), None):
            yield from (block.slice(start, _ROWS) for start in range(0, block.num_rows, _ROWS))

    def _block(self, reader: csv.CSVStreamingReader) -> pa.RecordBatch | None:
        with _without_word(self._skip):
            return next(reader, None)

    def _skip(self, row: csv.InvalidRow) -> str:
        self._uneven[row.number] = row
        return "skip"

    def _next(self, row: int, above: int) -> tuple[int, int]:
        """The number of the next row, and how many lines more than rows are above it."""
        row += 1
        while (uneven := self._uneven.pop(row, None)) is not None:
            fields = f"{uneven.actual_columns} field{'' if uneven.actual_columns == 1 else 's'}"
            self._refused(row + above, f"has {fields}, the header {uneven.expected_columns}")
            row, above = row + 1, above + uneven.text.count("\n")
        return row, above


@contextmanager
def _without_word(handler: Callable[..., Any]) -> Iterator[None]:
    """Let Arrow not print that it could not call a handler, as for a row that is no UTF-8; it raises by itself then."""
    usual = sys.unraisablehook
    sys.unraisablehook = lambda told: None if told.object == handler else usual(told)
    try:
        yield
    finally:
        sys.unraisablehook = usual


def _names(schema: pa.Schema) -> list[str] | None:
    try:
        names: list[str] = schema.names
    except UnicodeDecodeError:
        return None
    return names


def _decoded(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch; None for one that is no UTF-8."""
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:
        for number in range(batch.num_rows):
            try:
                (row,) = batch.slice(number, 1).to_pylist()
            except UnicodeDecodeError:
                row = None
            yield row


class _Chunks:
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self.closed = False

    def peek(self) -> bytes:
        """The first megabyte, which stays."""
        self._rest = self.read(_PEEKED)
        return self._rest

    def read(self, size: int = -1) -> bytes:
        parts, missing = [self._rest], size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]

    def readable(self) -> bool:
        return True

    def close(self) -> Any:
        """The chunks are closed by whoever opened them."""
