"""SQL scripts for an engine's own client: one transaction, all of it or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.core.values import python_scalar
from toolkit.engines.contract import TableScript
from toolkit.engines.portable.codec import shown
from toolkit.engines.portable.connection import batch_key
from toolkit.engines.portable.decorated import as_stored
from toolkit.errors import UnrepresentableValueError

if TYPE_CHECKING:
    import sqlalchemy as sa


def quoted(name: str) -> str:
    """A quoted identifier, the same in all engines."""
    return '"' + name.replace('"', '""') + '"'


def qualified(table: sa.Table) -> str:
    """A table's quoted name, with its schema."""
    return f"{quoted(table.schema)}.{quoted(table.name)}" if table.schema else quoted(table.name)


class Script(ABC):
    """How an engine's scripts begin and end, and how values stand in them."""

    engine: ClassVar[str]
    usage: ClassVar[str]
    """How the client is told to run a FILE, and to stop at an error."""
    overriding: ClassVar[str] = ""
    """What lets an INSERT give values that a column makes itself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @abstractmethod
    def begin(self, tables: Sequence[TableScript]) -> Iterator[str]:
        """The statements before the first that changes a row."""

    @abstractmethod
    def end(self, tables: Sequence[TableScript], changes: int) -> Iterator[str]:
        """The statements behind the last of them, which together change so many rows: checks, then COMMIT."""

    @abstractmethod
    def _column(self, spec: TableSpec, column: ColumnSpec, values: pa.Array) -> list[str]:
        """A stored column as literals.

        Raises:
            ValueError, OverflowError, pyarrow.ArrowException: a value that the engine cannot keep.
        """

    def literals(self, spec: TableSpec, batch: pa.RecordBatch) -> dict[str, list[str]]:
        """The columns of a batch, which holds the key and may lack others, as SQL literals.

        Raises:
            UnrepresentableValueError: a value that the engine cannot keep, named with its row.
        """
        stored_spec, stored = as_stored(spec, batch, self._connection)
        found = {}
        for name in batch.schema.names:
            column, values = stored_spec.column(name), stored.column(name)
            try:
                found[name] = self._column(stored_spec, column, values)
            except (ValueError, OverflowError, pa.ArrowException) as error:
                raise self._refused(spec, stored_spec, column, batch, values) or error from error
        return found

    def _refused(
        self, spec: TableSpec, stored: TableSpec, column: ColumnSpec, batch: pa.RecordBatch, values: pa.Array
    ) -> UnrepresentableValueError | None:
        for row in range(batch.num_rows):
            try:
                self._column(stored, column, values.slice(row, 1))
            except (ValueError, OverflowError, pa.ArrowException):
                held = shown(python_scalar(values[row]))
                return UnrepresentableValueError(
                    spec.name,
                    batch_key(spec, batch, row),
                    column.name,
                    f"holds {held}, which {self._connection.name} ({self.engine}) cannot keep",
                )
        return None

    def _checked(self, tables: Sequence[TableScript]) -> Iterator[TableSpec]:
        """The tables whose rows may have lost their parents, or were never given any, and whose parents are there."""
        losing = {table.spec.name for table in tables if table.deletes}
        for table in tables:
            pointing = [key for key in table.spec.foreign_keys if table.writes or key.parent in losing]
            if pointing:
                yield table.spec
