"""What a worker does with a part. It is given names; where a database is, it knows by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pyarrow as pa
from msgspec import Struct
from sqlalchemy import Column, MetaData
from sqlalchemy import Table as SQLAlchemyTable

from toolkit.compute.receipts import Receipt, receipt
from toolkit.config import Database, load_config
from toolkit.core.tables import TableSpec
from toolkit.engines import connect
from toolkit.engines.contract import (
    CommitsParts,
    Connection,
    Loaded,
    Part,
    ReadsInParts,
    Rewriting,
    SharesSnapshot,
    Table,
    WrittenPart,
)
from toolkit.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    FencedError,
    PrivilegeError,
    SnapshotLostError,
    ToolkitError,
    UnknownNameError,
)

Context = Mapping[str, Database] | None
"""The databases by name, for processes of this machine; others have their own settings."""


class Place(Struct, frozen=True):
    """A database as workers are told of it: its name, what it is known by, and whose snapshot to join."""

    name: str
    identity: str | None
    shared: str | None = None


class DigestPart(Struct, frozen=True):
    """A part whose digest is wanted, by so many segments; `side` is for whoever asks."""

    place: Place
    spec: TableSpec
    part: Part
    segments: int
    side: int = 0

    def __str__(self) -> str:
        return f"part {self.part.number} of {self.spec.name} in {self.place.name}"


def digest_part(given: DigestPart, context: Context) -> tuple[int, Receipt]:
    """The side that was asked for, and the receipt."""
    with opened(given.place, context) as connection:
        part = rows_of(connection, given.spec, given.part)
        return given.side, receipt(given.part.number, part, given.segments)


def rows_of(connection: Connection, spec: TableSpec, part: Part) -> Table:
    """The rows of a part."""
    return cast("ReadsInParts", connection.repository(spec)).part(part)


def sent(spec: TableSpec) -> TableSpec:
    """A table as it is sent: without what its models hold beside it, such as defaults, which may be functions."""
    columns = (
        Column(c.name, c.type, primary_key=c.primary_key, nullable=c.nullable, autoincrement=False)
        for c in spec.table.columns
    )
    table = SQLAlchemyTable(spec.table.name, MetaData(), *columns, schema=spec.table.schema)
    return replace(spec, table=table, foreign_keys=())


def database_of(place: Place, context: Context) -> Database:
    """The database of that name, here.

    Raises:
        UnknownNameError: this worker's settings have none.
    """
    databases = load_config(Path.cwd()).databases if context is None else context
    if place.name in databases:
        return databases[place.name]
    name = place.name.upper()
    raise UnknownNameError(
        "database", place.name, databases, "this worker's settings", f"Set TOOLKIT_{name}_URL there."
    )


@contextmanager
def opened(place: Place, context: Context) -> Iterator[Connection]:
    """A connection that reads, as of the snapshot that it is told.

    Raises:
        ConfigurationError: another database has that name here.
    """
    connection = connect(database_of(place, context))
    if place.shared is not None:
        cast("SharesSnapshot", connection).join(place.shared)
    with connection:
        require_place(connection, place)
        yield connection


def require_place(connection: Connection, place: Place) -> None:
    """Check that a name means the same database here as where the command was given."""
    if place.identity is not None and connection.identity() != place.identity:
        raise ConfigurationError(
            f"{place.name} is another database on this worker than where the command was given.",
            f"Set TOOLKIT_{place.name.upper()}_URL on both to the same server, database, and schema.",
        )


class FillPart(Struct, frozen=True):
    """A part that is to be copied into a run's new table."""

    place: Place
    goal: Place
    source: TableSpec
    spec: TableSpec
    run: str
    part: Part

    def __str__(self) -> str:
        return f"part {self.part.number} of {self.spec.name} into {self.goal.name}"


class Again(Struct, frozen=True):
    """A part that is to be tried again, and why."""

    part: int
    reason: str


def fill_part(given: FillPart, context: Context) -> Loaded | Again:
    """Copy the part; what the ledger says then. What a lost connection has left undone is to be tried again."""
    goal = database_of(given.goal, context)
    try:
        with opened(given.place, context) as source, goal.kind.filling(goal) as target:
            require_place(target, given.goal)
            rows = rows_of(source, given.source, given.part)
            return target.fill(given.spec, given.run, given.part.number, rows)
    except (SnapshotLostError, PrivilegeError):
        raise
    except (FencedError, DatabaseUnavailableError) as error:
        return Again(given.part.number, f"{error.fact} {error.advice}")


class WritePart(Struct, frozen=True):
    """A part that is to be written into files, for a run that whoever asks will commit."""

    place: Place
    goal: Place
    spec: TableSpec
    run: str
    part: Part

    def __str__(self) -> str:
        return f"part {self.part.number} of {self.spec.name} into {self.goal.name}"


def write_part(given: WritePart, context: Context) -> WrittenPart:
    """Write the part into files of its own, whoever else may be at it, and read them back; nothing is committed."""
    with _between(given, context) as (source, target):
        rows = rows_of(source, given.spec, given.part)
        return target.write_part(given.spec, given.run, given.part.number, rows)


class CheckPart(Struct, frozen=True):
    """A part that an interrupted run has written: whether it is there, and the source's rows are still those."""

    place: Place
    goal: Place
    spec: TableSpec
    part: Part
    written: WrittenPart

    def __str__(self) -> str:
        return f"part {self.part.number} of {self.spec.name} in {self.goal.name}"


def check_part(given: CheckPart, context: Context) -> tuple[int, WrittenPart | None, str]:
    """The number of the part, what was written if it will do, and else why not."""
    with _between(given, context) as (source, target):
        found = receipt(given.part.number, rows_of(source, given.spec, given.part), 1)
        if found.digest != given.written.sent:
            return given.part.number, None, "has changed since"
        try:
            return given.part.number, target.read_part(given.spec, given.written), ""
        except (ToolkitError, OSError, pa.ArrowException):
            return given.part.number, None, "is not there as it was written"


class RewritePart(Struct, frozen=True):
    """Files of a table that are to be written anew with rows of the source."""

    place: Place
    goal: Place
    spec: TableSpec
    given: Rewriting

    def __str__(self) -> str:
        return f"part {self.given.part} of {self.spec.name} in {self.goal.name}"


def rewrite_part(given: RewritePart, context: Context) -> WrittenPart:
    """Write the files anew; nothing is committed."""
    with _between(given, context) as (source, target):
        return target.rewrite(given.spec, given.given, source.repository(given.spec))


@contextmanager
def _between(given: WritePart | CheckPart | RewritePart, context: Context) -> Iterator[tuple[Connection, CommitsParts]]:
    """Both databases."""
    with (
        opened(given.place, context) as source,
        connect(database_of(given.goal, context), write=True) as target,
    ):
        require_place(target, given.goal)
        yield source, cast("CommitsParts", target)
