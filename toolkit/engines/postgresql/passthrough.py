"""Rows of one PostgreSQL database into another as its server sends them: no value is looked at on the way.

Of types that both have alike the binary form of COPY is the value itself. A million rows take the client 1.5 s where
those that become Arrow's on the way take 5 s, and the source's server digests them meanwhile, in the same snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa

from toolkit.core.digest import TableDigest
from toolkit.core.tables import TableSpec
from toolkit.core.workers import both
from toolkit.engines.catalogue import TableFacts
from toolkit.engines.portable.lossy import bare
from toolkit.engines.postgresql.sql import qualified, quoted
from toolkit.errors import UnnamedRowError

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

# The server's own, whose binary form names no other object, as that of an array or an enum does. `json` is not among
# them: documents that compare to nothing are refused while they are read.
_OWN_TYPES = frozenset(
    {
        *("smallint", "integer", "bigint", "numeric", "real", "double precision", "boolean"),
        *("text", "character varying", "character", "bytea", "uuid", "jsonb"),
        *("date", "timestamp without time zone", "timestamp with time zone", "time without time zone"),
    }
)
_BLOCK_BYTES = 1 << 17


def are_alike(spec: TableSpec, there: TableFacts | None, here: TableFacts | None) -> bool:
    """Whether all columns have one and the same type of the server's own in both databases."""
    if there is None or here is None:
        return False
    types = [(there.columns.get(name), here.columns.get(name)) for name in spec.column_names]
    return all(a and b and a.type == b.type and bare(a.type) in _OWN_TYPES for a, b in types)


def send(
    source: PostgresSession, rows_of: str, target: PostgresSession, spec: TableSpec, passed: Callable[[int], None]
) -> int:
    """Copy rows (`rows_of` is what stands behind FROM) into a table; their number, as the target counts them.

    `passed` is called with numbers of rows, about.

    Raises:
        UnnamedRowError: the target refuses a row.
    """
    columns = ", ".join(map(quoted, spec.column_names))
    query = f"SELECT {columns} FROM {rows_of} AS t"
    into = f"COPY {qualified(spec.table)} ({columns}) FROM STDIN (FORMAT BINARY)"
    with _reading(source, f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as blocks:
        try:
            with target.raw.cursor() as cursor:
                with cursor.copy(into) as copy:
                    for block, rows in blocks:
                        copy.write(block)
                        passed(rows)
                return cursor.rowcount
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            reason = error.diag.message_primary or str(error).partition("\n")[0]
            raise UnnamedRowError(target.name, reason) from error
        except psycopg.Error as error:
            raise target.known_error(error) from error


def beside(source: PostgresSession, query: str, work: Callable[[], None]) -> TableDigest:
    """Do something while the source's server computes a digest, of the same snapshot, by this query."""
    with source.translated(), source.reader().cursor() as cursor:

        def digest() -> pa.Table:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

        def done() -> None:
            try:
                work()
            except BaseException:
                # Its end would be waited for, which for a large table takes minutes.
                cursor.adbc_cancel()
                raise

        counted, _ = both(digest, done)
    return TableDigest(*(column[0].as_py() for column in counted.columns))


@contextmanager
def _reading(source: PostgresSession, statement: str) -> Iterator[Iterator[tuple[bytes, int]]]:
    """What the source sends, in pieces, each with how many rows it holds."""
    # A copy that is not read to its end is cancelled, which the savepoint undoes.
    with source.translated(), source.raw.transaction(), source.raw.cursor() as cursor, cursor.copy(statement) as rows:
        yield _blocks(source, rows)


def _blocks(source: PostgresSession, rows: psycopg.Copy) -> Iterator[tuple[bytes, int]]:
    """A row is what the server sends at once: these put together."""
    held: list[bytes | bytearray | memoryview] = []
    size = 0
    with source.translated():
        for row in rows:
            held.append(row)
            size += len(row)
            if size > _BLOCK_BYTES:
                yield b"".join(held), len(held)
                held, size = [], 0
    yield b"".join(held), len(held)
