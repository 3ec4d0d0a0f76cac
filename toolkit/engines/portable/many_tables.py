"""What a connection asks of many tables at once: one by one, thousands of them take minutes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import sqlalchemy as sa

from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import TableFacts
from toolkit.errors import ToolkitError

# Of a statement over many tables; DuckDB takes longer for each of 100 of them than for one alone.
_TABLES_A_QUERY = 25


class ManyTables(ABC):
    """A transaction's knowledge of its tables: the catalogue's, and in a snapshot the numbers of their rows."""

    sqlalchemy: sa.Connection
    write: bool

    def __init__(self) -> None:
        self._facts: dict[str, TableFacts | None] = {}
        self._asked: dict[str, TableSpec] = {}
        self._rows: dict[str, int | None] = {}
        self.expected: dict[str, Mapping[str, str]] = {}
        """The types of columns of tables that are yet to be made, by table."""

    def facts(self, spec: TableSpec) -> TableFacts | None:
        """What the catalogue says of a table, None if it is not there; asked once in a transaction."""
        if spec.name not in self._facts:
            self._facts[spec.name] = self._read_facts([spec]).get(spec.name)
        return self._facts[spec.name]

    def look_up(self, specs: Sequence[TableSpec]) -> None:
        """Ask the catalogue of all these tables at once: for thousands of tables, one by one takes minutes."""
        unknown = [spec for spec in specs if spec.name not in self._facts]
        if not unknown:
            return
        with self._or_one_by_one():
            found = self._read_facts(unknown)
            self._facts |= {spec.name: found.get(spec.name) for spec in unknown}
            self._asked |= {spec.name: spec for spec in unknown}

    def expect(self, spec: TableSpec, types: Mapping[str, str]) -> None:
        """Take a table for one that is yet to be made, of such columns: nothing needs to be connected to ask of it."""
        self._facts[spec.name] = None
        self.expected[spec.name] = types

    @abstractmethod
    def _read_facts(self, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
        """What the catalogue says of these tables, by name; without those that are not there."""

    def filled(self, specs: Sequence[TableSpec]) -> frozenset[str]:
        """The names of those tables that have any row, or cannot be read; whatever the conditions that narrow them."""
        found: dict[str, int] = {}
        with self._or_one_by_one():
            found = self._counted(specs, most=1)
        return frozenset(spec.name for spec in specs if found.get(spec.name, 1))

    def counts(self, specs: Sequence[TableSpec]) -> dict[str, int]:
        """How many rows each of these tables has, by name, whatever the conditions that narrow them."""
        return self._counted(specs, most=None)

    def known_count(self, spec: TableSpec) -> int | None:
        """The rows of a table in a snapshot, where nothing changes them, counted together with those of others."""
        if self.write or spec.name not in self._asked:
            return None
        if spec.name not in self._rows:
            names = list(self._asked)
            place = names.index(spec.name)
            part = [self._asked[name] for name in names[place : place + _TABLES_A_QUERY] if self._facts.get(name)]
            with self._or_one_by_one():
                self._rows |= self.counts(part)
            self._rows = dict.fromkeys((each.name for each in part), None) | self._rows
        return self._rows.get(spec.name)

    @contextmanager
    def _or_one_by_one(self) -> Iterator[None]:
        """Pass over what cannot be asked of many tables at once: each is told of when its turn comes."""
        try:
            with self.translated(), self.savepoint():
                yield
        except ToolkitError:
            if self._is_broken():
                raise

    def _counted(self, specs: Sequence[TableSpec], most: int | None) -> dict[str, int]:
        """The rows of each table, or at most so many of them; many tables in one statement."""
        found: dict[str, int] = {}
        quoted = self.sqlalchemy.dialect.identifier_preparer.format_table

        def rows(table: sa.Table) -> str:
            return quoted(table) if most is None else f"(SELECT 1 FROM {quoted(table)} LIMIT {most}) AS found"

        for start in range(0, len(specs), _TABLES_A_QUERY):
            part = specs[start : start + _TABLES_A_QUERY]
            # Written here: for SQLAlchemy to write it takes six times as long as it takes to be answered.
            counts = (f"SELECT {place}, count(*) FROM {rows(spec.table)}" for place, spec in enumerate(part))
            with self.translated():
                answer = self.sqlalchemy.exec_driver_sql(" UNION ALL ".join(counts))
                found |= {part[place].name: int(number) for place, number in answer}
        return found

    def forget(self) -> None:
        """Ask again: the transaction has ended, and others may have changed tables since."""
        self._facts.clear()
        self._asked.clear()
        self._rows.clear()

    @abstractmethod
    def translated(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into this package's."""

    def savepoint(self) -> AbstractContextManager[Any]:
        """Undo what the block did if it fails, and only that where the engine can."""
        return self.sqlalchemy.begin_nested()

    def _is_broken(self) -> bool:
        return False
