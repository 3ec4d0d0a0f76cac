"""A script for an engine's own client: what is asked of whoever writes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from toolkit.core.tables import TableSpec


class TableScript(Struct, frozen=True):
    """What a script does to one table, in rows; `total` is how many it had, None if only some were compared."""

    spec: TableSpec
    inserts: int
    updates: int
    deletes: int
    total: int | None

    @property
    def writes(self) -> int:
        """Rows that are inserted or updated."""
        return self.inserts + self.updates


class Script(Protocol):
    """How a script for the engine's own client begins and ends, and how values stand in it."""

    @property
    def engine(self) -> str:
        """The engine, in a sentence."""

    @property
    def usage(self) -> str:
        """How the client is told to run a FILE, and to stop at an error."""

    @property
    def overriding(self) -> str:
        """What lets an INSERT give values that a column makes itself."""

    def begin(self, tables: Sequence[TableScript]) -> Iterator[str]:
        """The statements before the first that changes a row."""

    def end(self, tables: Sequence[TableScript], changes: int) -> Iterator[str]:
        """The statements behind the last of them, which together change so many rows: checks, then COMMIT."""

    def kept(self, spec: TableSpec, /) -> Sequence[str]:
        """The columns that the engine would change with every update that does not name them."""

    def literals(self, spec: TableSpec, batch: pa.RecordBatch) -> Mapping[str, list[str]]:
        """The columns of a batch, which holds the key and may lack others, as SQL literals.

        Raises:
            UnrepresentableValueError: a value that the engine cannot keep, named with its row.
        """
