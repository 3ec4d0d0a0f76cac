"""Workers, and what they may be asked to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, structs

from toolkit.engines.contract import PART_BYTES, Part, ReadsInParts, SharesSnapshot
from toolkit.errors import ConfigurationError, WorkersError
from toolkit.executors import Executor, open_executor
from toolkit.operations.parts.work import Place

if TYPE_CHECKING:
    from toolkit.config import Config, Database
    from toolkit.engines.contract import Connection, Table
    from toolkit.executors.contract import Work

T = TypeVar("T")
R = TypeVar("R")

CONNECTIONS_A_PART = 2
"""What a part opens to one database at most: to read rows, and to ask the server beside."""


class WorkerOptions(Struct, frozen=True):
    """Where workers are, and how much they may take: connections to a database, bytes of a part."""

    address: str
    connections: int | None = None
    part_bytes: int = PART_BYTES
    is_insecure: bool = False


class Crew(Struct, frozen=True):
    """Workers at work."""

    executor: Executor
    options: WorkerOptions
    configured: frozenset[str]

    @property
    def in_flight(self) -> int:
        """How many parts may be under way."""
        most = self.executor.workers
        return most if self.options.connections is None else max(1, min(most, self.options.connections // 2))

    def do(self, work: Work[T, R], parts: Iterable[T]) -> Iterator[R]:
        """What comes of each part, in no order.

        Raises:
            WorkersError: not as many came back as were given.
        """
        given = count()
        counted = (part for part, _ in zip(parts, given, strict=False))
        received = 0
        for found in self.executor.receipts(work, counted, self.in_flight):
            received += 1
            yield found
        asked = next(given)
        if received != asked:
            raise WorkersError(f"{received:,} parts came back, of {asked:,}.", "Run again.")

    def place(self, connection: Connection) -> Place:
        """A database that is read, and that workers are to read as of the same moment.

        Raises:
            ConfigurationError: they cannot.
        """
        found = self.named(connection)
        if not isinstance(connection, SharesSnapshot):
            raise ConfigurationError(
                f"{connection.name}: several processes cannot read a database of this kind as of one moment.",
                "Run without --workers.",
            )
        return structs.replace(found, shared=connection.share())

    def named(self, connection: Connection) -> Place:
        """A database as workers are told of it.

        Raises:
            ConfigurationError: they are elsewhere, and would not find it.
        """
        database = connection.database
        if self.executor.is_local:
            # They are told just where it is.
            return Place(connection.name, None)
        if database.file is not None:
            raise ConfigurationError(
                f"{connection.name} is a file of this machine, which workers elsewhere may not see, or see another of.",
                "Use --workers local.",
            )
        if connection.name not in self.configured:
            raise ConfigurationError(
                f"{connection.name} was given as a URL, which is not sent to workers: it may hold a password.",
                "Give it a name: TOOLKIT_NAME_URL, here and on all workers, and use that name.",
            )
        return Place(connection.name, connection.identity())

    def parts(self, table: Table) -> Sequence[Part]:
        """A table in parts.

        Raises:
            ConfigurationError: it is of an engine that does not cut tables.
        """
        if not isinstance(table, ReadsInParts):
            raise ConfigurationError(
                f"{table.connection.name}: {table.spec.name} cannot be read in parts.", "Run without --workers."
            )
        return table.parts(self.options.part_bytes)


@contextmanager
def hired(
    config: Config, databases: Sequence[Database], options: WorkerOptions, context: object = None
) -> Iterator[Crew]:
    """Workers for these databases; processes of this machine are told them, or what else is in `context`.

    Raises:
        ConfigurationError: the address, or a number, is of no use.
        WorkersError: they cannot be reached.
    """
    if options.connections is not None and options.connections < CONNECTIONS_A_PART:
        raise ConfigurationError(
            f"{options.connections} connections are too few: a part takes up to {CONNECTIONS_A_PART} to one database.",
            "Give --connections 2 or more.",
        )
    with open_executor(
        options.address, context or told_databases(databases), is_insecure=options.is_insecure
    ) as executor:
        yield Crew(executor, options, frozenset(config.databases))


def told_databases(databases: Sequence[Database]) -> dict[str, Database]:
    """Databases as processes of this machine are told of them."""
    return {each.name: _told(each) for each in databases}


def _told(database: Database) -> Database:
    """A database as a process of this machine is told of it: a server that was started for us by its address."""
    if database.directory is None:
        return replace(database)
    return database.at(database.url.render_as_string(hide_password=False))
