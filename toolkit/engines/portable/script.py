"""SQL scripts for an engine's own client: one transaction, all of it or nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from toolkit.core.tables import ColumnSpec, TableSpec
from toolkit.engines.contract import TableScript
from toolkit.engines.portable.codec import unkept

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

    def kept(self, _spec: TableSpec) -> Sequence[str]:
        """The columns that the engine would change with every update that does not name them."""
        return ()

    def _column(self, spec: TableSpec, column: ColumnSpec, values: pa.Array) -> list[str]:
        """A column as literals.

        Raises:
            ValueError, OverflowError, pyarrow.ArrowException: a value that the engine cannot keep.
        """
        literals: list[str] = self._connection.codec.adapter(column).literals(values)
        return literals

    def literals(self, spec: TableSpec, batch: pa.RecordBatch) -> dict[str, list[str]]:
        """The columns of a batch, which holds the key and may lack others, as SQL literals.

        Raises:
            UnrepresentableValueError: a value that the engine cannot keep, named with its row.
        """
        found, keeper = {}, f"{self._connection.name} ({self.engine})"
        for name in batch.schema.names:
            column = spec.column(name)
            convert = partial(self._column, spec, column)
            try:
                found[name] = convert(batch.column(name))
            except (ValueError, OverflowError, pa.ArrowException) as error:
                raise unkept(spec, column, batch, convert, keeper, error) or error from error
        return found

    def _checked(self, tables: Sequence[TableScript]) -> Iterator[TableSpec]:
        """The tables whose rows may have lost their parents, or were never given any, and whose parents are there."""
        losing = {table.spec.name for table in tables if table.deletes}
        for table in tables:
            pointing = [key for key in table.spec.foreign_keys if table.writes or key.parent in losing]
            if pointing:
                yield table.spec
