"""Tables made from the models, where there are no migrations; what cannot be made is named by table and column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateSchema

from toolkit.core.schema import AfterRows
from toolkit.core.schema_memory import memory_table, remembered
from toolkit.core.values import shortened
from toolkit.engines import connect
from toolkit.errors import MigrationError, StatementError
from toolkit.operations.migrations.model_checks import require_checks
from toolkit.operations.migrations.model_defaults import made_defaults, with_made
from toolkit.operations.migrations.model_names import made_names, with_names
from toolkit.operations.migrations.revisions import require_schemas
from toolkit.operations.migrations.transactions import transaction, translated

if TYPE_CHECKING:
    from sqlalchemy import Dialect

    from toolkit.config import Config, Database
    from toolkit.engines.contract import Connection, Engine

_PROBE = "toolkit_probe"


def make_tables(
    database: Database,
    config: Config,
    metadata: sa.MetaData,
    tables: Sequence[sa.Table],
    definitions: Sequence[str] = (),
    *,
    remembers: bool = False,
    within: Connection | None = None,
) -> None:
    """Make these tables, and the schemas that they lie in, in one transaction; by `definitions`, where these are known.

    `remembers`: what they are made without, because the engine has no such thing, is kept in a table of the toolkit's.
    The transaction is one of its own, or that of a connection (`within`), which commits it.

    Raises:
        StatementError: the database refuses one; it is named, with the column if that is refused by itself.
    """
    if within is None and not database.kind.has_transactional_ddl:
        # What commits by itself is dropped again by a connection that fails.
        make = partial(make_tables, database, config, metadata, tables, definitions, remembers=remembers)
        with connect(database, write=True) as own:
            own.begin_with(partial(make, within=own))
            own.commit()
        return
    begun: list[sa.Table] = []
    try:
        with (
            transaction(database, config, makes=True)
            if within is None
            else _joined(database, config, within) as connection,
            _noting(metadata, begun),
            without_types(connection.dialect, tables),
        ):
            _make_as_defined(database, connection, definitions, within)
            if not definitions:
                _make_of_metadata(connection, database, metadata, tables, remembers)
            if remembers:
                remember(connection, database.kind, tables)
    except (StatementError, MigrationError) as error:
        if not begun:
            raise
        reason = _reason(error.__cause__ or error)
        raise _unmade(database, begun[-1], reason, by_models=not remembers) from error


def _make_as_defined(
    database: Database, connection: sa.Connection, definitions: Sequence[str], within: Connection | None
) -> None:
    """Execute them.

    Raises:
        StatementError: one is refused, as where it rests on what is not carried.
    """
    for statement in definitions:
        if within is not None and isinstance(statement, AfterRows):
            within.finish_with(statement)
            continue
        try:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
        except sa.exc.ProgrammingError as error:
            shown = shortened(statement)
            raise StatementError(
                database.name,
                f"{_reason(error).rstrip('.')}, as the source's schema is made: {shown}",
                "Make there before what it rests on, or leave the table out: --exclude TABLE. Nothing was made.",
            ) from error


def _make_of_metadata(
    connection: sa.Connection, database: Database, metadata: sa.MetaData, tables: Sequence[sa.Table], remembers: bool
) -> None:
    _make_schemas(connection, database, tables)
    if not remembers:
        require_checks(database, tables)
    made = [] if remembers else made_defaults(database, tables)
    with with_made(made), with_names(made_names(database.kind.features, tables)):
        metadata.create_all(connection, tables)
    database.kind.begin_numbers(connection, tables)


@contextmanager
def _joined(database: Database, config: Config, within: Connection) -> Iterator[sa.Connection]:
    database.kind.accept_types(within.sqlalchemy.engine)
    with translated(database, config, makes=True):
        yield within.sqlalchemy


def remember(connection: sa.Connection, kind: Engine, tables: Sequence[sa.Table]) -> None:
    """Keep what the tables are made without, where the engine has no such thing."""
    found = {} if kind.features.keeps_foreign_keys else remembered(tables)
    if found:
        memory = memory_table()
        memory.create(connection, checkfirst=True)
        connection.execute(memory.delete().where(memory.c.name.in_(list(found))))
        for name, text in found.items():
            connection.execute(memory.insert().values(name=name, document=text))


def _make_schemas(connection: sa.Connection, database: Database, tables: Iterable[sa.Table]) -> None:
    """Make the schemas that are lacking.

    Raises:
        ConfigurationError: the engine has none.
    """
    there = sa.inspect(connection).get_schema_names()
    lacking = {table.schema: table for table in tables if table.schema is not None and table.schema not in there}
    require_schemas(database, lacking.values())
    for schema in lacking:
        connection.execute(CreateSchema(schema))


@contextmanager
def without_types(dialect: Dialect, tables: Iterable[sa.Table]) -> Iterator[None]:
    """Let no type of the models' be made on an engine without named types: SQLAlchemy would make domains on any.

    It makes those of the tables' metadata, whichever table has them.
    """
    every = {id(table.metadata): table.metadata for table in tables}.values()
    named = [
        column.type
        for metadata in every
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.types.SchemaType) and getattr(column.type, "create_type", False)
    ]
    made: list[Any] = [] if dialect.supports_native_enum else named
    for each in made:
        each.create_type = False
    try:
        yield
    finally:
        for each in made:
            each.create_type = True


@contextmanager
def _noting(metadata: sa.MetaData, begun: list[sa.Table]) -> Iterator[None]:
    """Note each table as it is about to be made."""

    def note(table: sa.Table, *_: Any, **__: Any) -> None:
        begun.append(table)

    tables = list(metadata.tables.values())
    for table in tables:
        sa.event.listen(table, "before_create", note)
    try:
        yield
    finally:
        for table in tables:
            sa.event.remove(table, "before_create", note)


def _unmade(database: Database, table: sa.Table, reason: str, *, by_models: bool) -> StatementError:
    column = next((each for each in table.columns if _refusal(database, each) == reason), None)
    place = f"{table.fullname}.{column.name}" if column is not None else table.fullname
    declared = f"Declare it in the models as {database.kind.title} has it, too, or make" if by_models else "Make"
    return StatementError(
        database.name,
        f"{place} cannot be made from the {'models' if by_models else 'schema of the source'}: {reason.rstrip('.')}.",
        f"{declared} the tables there before. Nothing was made. Run with --debug to see the statement.",
    )


def _refusal(database: Database, column: sa.Column[Any]) -> str | None:
    """Why a table of this column alone cannot be made; nothing of it stays."""
    default, computed = column.server_default, column.computed
    parts: list[Any] = [sa.Computed(computed.sqltext, computed.persisted)] if computed is not None else []
    given: Any = default.arg if isinstance(default, sa.DefaultClause) else None
    probe = sa.Column(column.name, column.type, *parts, server_default=given)
    table = sa.Table(_PROBE, sa.MetaData(), probe, prefixes=["TEMPORARY"])
    engine = database.unpooled_engine()
    database.kind.accept_types(engine)
    with engine.connect() as connection:
        try:
            table.create(connection)
        except sa.exc.SQLAlchemyError as error:
            return _reason(error).replace(_PROBE, column.table.name)
        finally:
            with suppress(sa.exc.SQLAlchemyError):
                connection.rollback()
    return None


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
