"""What stands for a database where migrations are asked what they declare: it does nothing, and has no rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.inspection import _inspects

if TYPE_CHECKING:
    from sqlalchemy import Dialect

_ONE = ("scalar", "first", "fetchone", "one_or_none", "scalar_one_or_none")
_ALL = ("all", "fetchall", "fetchmany", "partitions")


class SilentConnection:
    """A connection, and the result of whatever it is told to execute."""

    rowcount = 0

    def __init__(self, dialect: Dialect, tables: Mapping[tuple[str | None, str], Any]) -> None:
        self.dialect, self.tables = dialect, tables
        self.engine = SimpleNamespace(dialect=dialect, name=dialect.name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Any other method: it answers with nothing, or with what may be asked further."""
        if name.startswith("_"):
            raise AttributeError(name)
        answer: Any = None if name in _ONE else [] if name in _ALL else self
        return lambda *_, **__: answer

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Inspector:
    """Tells of the tables that are declared so far."""

    def __init__(self, connection: SilentConnection) -> None:
        self._tables = connection.tables

    def get_table_names(self, schema: str | None = None) -> list[str]:
        """Those of one schema."""
        return [name for each, name in self._tables if each == schema]

    def has_table(self, name: str, schema: str | None = None) -> bool:
        """Whether it is declared."""
        return (schema, name) in self._tables

    def get_columns(self, name: str, schema: str | None = None) -> list[dict[str, Any]]:
        """Their names and types."""
        columns = self._tables[schema, name].columns
        return [{"name": each.name, "type": each.type, "nullable": each.nullable} for each in columns.values()]

    def get_indexes(self, name: str, schema: str | None = None) -> list[dict[str, Any]]:
        """Their names."""
        return [{"name": str(each.name)} for each in self._tables[schema, name].indexes]


_inspects(SilentConnection)(_Inspector)
