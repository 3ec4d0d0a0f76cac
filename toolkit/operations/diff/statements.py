"""Lines of a script in the order of their keys, put together to statements. What is sorted is sorted on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.compute.sorting import in_key_order
from toolkit.core.tables import TableSpec

# Rows and bytes of one statement: a hundred rows take a client hardly longer than one.
_STATEMENT_ROWS = 100
_STATEMENT_BYTES = 1 << 20


def with_ends(rows: Iterable[tuple[list[pa.Array], pa.Array]], end: str) -> Iterator[tuple[list[pa.Array], pa.Array]]:
    """The lines with this behind each of them."""
    for keys, texts in rows:
        yield keys, pc.binary_join_element_wise(texts.cast(pa.string()), end, "")


def lines_in_key_order(spec: TableSpec, rows: Iterable[tuple[list[pa.Array], pa.Array]]) -> Iterator[bytes]:
    """The lines in the order of their keys; the sorter is started only if there are any."""
    remaining = iter(rows)
    for first in remaining:
        yield from in_key_order(spec.key_schema, chain([first], remaining))


def grouped(begin: str, end: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lists of values, a line each, as statements of so many of them. No literal holds a line break."""
    rows = size = 0
    for line in chain.from_iterable(block.split(b"\n")[:-1] for block in blocks):
        if rows == _STATEMENT_ROWS or size > _STATEMENT_BYTES:
            yield f"{end};\n".encode()
            rows = size = 0
        yield (",\n" if rows else begin).encode() + line
        rows, size = rows + 1, size + len(line)
    if rows:
        yield f"{end};\n".encode()


def statements(texts: Iterable[str]) -> Iterator[bytes]:
    """Each as one statement."""
    return (f"{text};\n".encode() for text in texts)
