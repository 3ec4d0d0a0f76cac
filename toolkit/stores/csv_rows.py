"""The rows of a CSV file: every field text; an empty field without quotes is NULL, `""` is an empty text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import csv

from toolkit.stores.json_rows import LARGEST_ROW, RowsError

T = TypeVar("T")
_BLOCK = 1 << 20


def csv_rows(
    chunks: Iterator[bytes], convert: Callable[[int, Mapping[str, str | None]], T]
) -> Iterator[tuple[int, T]]:
    """The number of each row (the first below the header is 2) and what `convert` makes of its fields by name.

    Raises:
        RowsError: a row has more or fewer fields than the header, or is no UTF-8.
    """
    number = 1
    try:
        reader = csv.open_csv(
            pa.PythonFile(_Chunks(chunks), "r"),
            csv.ReadOptions(block_size=_BLOCK, use_threads=False),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
                default_column_type=pa.string(),
            ),
        )
        if len(set(reader.schema.names)) < len(reader.schema):
            raise RowsError(1, "two columns have the same name")
        for batch in reader:
            for row in batch.to_pylist():
                number += 1
                yield number, convert(number, row)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        problem = "is not UTF-8 text (is it Latin-1?)" if "UTF8" in str(error) else str(error).partition("\n")[0]
        raise RowsError(number + 1, f"cannot be read on: {problem}") from error


class _Chunks:
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, b"")):
            self._rest += chunk
            if len(self._rest) > LARGEST_ROW:
                break
        content, self._rest = self._rest[:size], self._rest[size:]
        return content

    def readable(self) -> bool:
        return True

    def close(self) -> Any:
        """The chunks are closed by whoever opened them."""
