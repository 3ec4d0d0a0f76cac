"""The statements that make tables in an empty database, without one: what `make_tables` would execute there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import create_mock_engine
from sqlalchemy.schema import CreateSchema
from sqlalchemy.sql.ddl import ExecutableDDLElement

from toolkit.engines.database import Database
from toolkit.operations.migrations.model_names import made_names, with_names
from toolkit.operations.migrations.model_tables import remember, without_types

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, MetaData, Table
    from sqlalchemy import Engine as SQLAlchemyEngine
    from sqlalchemy.engine.mock import MockConnection

    from toolkit.engines.contract import Engine


def unconnected(kind: Engine, execute: Callable[..., Any] = lambda *_, **__: None) -> MockConnection:
    """Something that compiles statements for an engine, as a server in its usual settings takes them, and has none."""
    url = kind.url(Database(kind.name, f"{kind.dialect}://"))
    # Not as psycopg is sent them, which would double each per cent sign.
    made = create_mock_engine(url, execute, paramstyle="named")
    kind.accept_types(cast("SQLAlchemyEngine", made))
    # What SQLAlchemy takes PostgreSQL for before it has asked a server: one of before 2010.
    made.dialect._backslash_escapes = False  # type: ignore[attr-defined]  # noqa: SLF001
    return made


def make_statements(
    kind: Engine, metadata: MetaData, tables: Sequence[Table], definitions: Sequence[str] = ()
) -> list[str]:
    """The statements, in the order in which they are executed; with `definitions`, these make the tables."""
    found = [each.rstrip().removesuffix(";") for each in definitions] or list(kind.makes_with)

    def note(statement: Any, *_: Any, **__: Any) -> None:
        bound = {} if isinstance(statement, ExecutableDDLElement) else {"literal_binds": True}
        found.append(str(statement.compile(dialect=made.dialect, compile_kwargs=bound)).strip())

    made = unconnected(kind, note)
    connection = cast("Connection", made)
    if not definitions:
        with without_types(made.dialect, tables):
            for schema in dict.fromkeys(table.schema for table in tables):
                if schema is not None:
                    note(CreateSchema(schema, if_not_exists=True))
            with with_names(made_names(kind.features, tables)):
                metadata.create_all(made, tables, checkfirst=False)
        kind.begin_numbers(connection, tables)
    remember(connection, kind, tables)
    return found
