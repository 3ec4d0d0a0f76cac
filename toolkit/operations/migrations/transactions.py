"""Transactions in which tables are made, with or without migrations; their errors in this package's words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

from toolkit.engines import connect
from toolkit.engines.registry import engine_of_dialect
from toolkit.operations.migrations.committed import Committed
from toolkit.operations.migrations.failures import migrating
from toolkit.operations.migrations.revisions import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from toolkit.config import Config, Database


@contextmanager
def transaction(database: Database, config: Config, *, makes: bool = False) -> Iterator[Connection]:
    """A transaction in which DDL is part, committed at the end of the block; `makes` as in `migrating`.

    Where an engine has no such, an error says what was committed.
    """
    committed = None if database.kind.has_transactional_ddl else Committed("alembic_version", database.kind)
    with (
        translated(database, config, committed, makes=makes),
        opened(database) as engine,
        engine.connect() as connection,
        transactional_ddl(connection),
        connection.begin(),
    ):
        if committed is not None:
            committed.listen(engine)
        yield connection


@contextmanager
def translated(
    database: Database, config: Config, committed: Committed | None = None, *, makes: bool = False
) -> Iterator[None]:
    """Turn errors of the engine, of Alembic and of the migrations into this package's; see `migrating`."""
    with migrating(config, committed, makes=makes), connect(database, write=True).translated():
        yield


@contextmanager
def transactional_ddl(connection: Connection, only_reads: bool = False) -> Iterator[None]:
    """Let all statements be in transactions, and no foreign key be acted on, where an engine must be told."""
    kind = engine_of_dialect(connection.dialect.name)
    if kind is None:
        yield
        return
    undo = kind.begin_migrations(connection, only_reads=only_reads)
    try:
        yield
    finally:
        undo()


def with_transactional_ddl(engine: Engine, only_reads: bool = False) -> Engine:
    """The same for every connection of an engine, for an `env.py` that does not do it itself."""
    taken = engine.execution_options()
    kind = engine_of_dialect(engine.dialect.name)

    def begin(connection: Connection) -> None:
        if kind is not None:
            kind.begin_migrations(connection, only_reads=only_reads)

    event.listen(taken, "engine_connect", begin)
    return taken
