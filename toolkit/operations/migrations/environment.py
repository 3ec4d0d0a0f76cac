"""What the `env.py` of a migrations directory does, for this package's commands and Advanced Alchemy's."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from advanced_alchemy.base import metadata_registry
from advanced_alchemy.types import (
    EncryptedString,
    EncryptedText,
    JsonB,
    OneTimeCode,
    PasswordHash,
    StoredObject,
)
from alembic import context
from sqlalchemy import JSON, event, make_url, text
from sqlalchemy.sql.elements import False_, True_
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from toolkit.errors import ConfigurationError
from toolkit.operations.migrations.revisions import is_bookkeeping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy import Connection, Engine, MetaData
    from sqlalchemy.ext.asyncio import AsyncEngine

# Any number, as long as it is always the same: two upgrades of one PostgreSQL database wait for one another.
_ADVISORY_LOCK = 0x746F6F6C6B6974


def run_migrations(**options: Any) -> None:
    """Run what the command asked for. `options` replace those given to `context.configure`."""
    if context.is_offline_mode():
        _run_offline(options)
    else:
        _run_online(options)


def introduce(engine_name: str) -> None:
    """Let Alembic learn of an engine's ways, which is by importing them; DuckDB's only for DuckDB: it takes 0.3 s.

    Whoever's `env.py` is run: what Alembic does by itself on SQLite and PostgreSQL loses values.
    """
    from toolkit.engines.postgresql import alembic as postgres_alembic  # noqa: F401
    from toolkit.engines.sqlite import alembic as sqlite_alembic  # noqa: F401

    if engine_name == "duckdb":
        from toolkit.engines.duckdb import alembic as duckdb_alembic  # noqa: F401


def _run_online(options: Mapping[str, Any]) -> None:
    from sqlalchemy.ext.asyncio import AsyncEngine

    engine: Any = context.config.engine  # type: ignore[attr-defined]
    if isinstance(engine, AsyncEngine):
        asyncio.run(_run_awaiting(engine, options))
        return
    with engine.connect() as connection:
        _run_on(connection, options)


async def _run_awaiting(engine: AsyncEngine, options: Mapping[str, Any]) -> None:
    """An application with an asynchronous engine gives that to Advanced Alchemy's commands."""
    async with engine.connect() as connection:
        await connection.run_sync(_run_on, options)
    await engine.dispose()


def _run_on(connection: Connection, options: Mapping[str, Any]) -> None:
    config: Any = context.config
    introduce(connection.dialect.name)
    only_reads = bool(config.attributes.get("only_reads"))
    before_commit = config.attributes.get("before_commit")
    with transactional_ddl(connection, only_reads):
        context.configure(**{"connection": connection, "dont_mutate": only_reads, **_options(), **options})
        with context.begin_transaction():
            if connection.dialect.name == "postgresql" and not only_reads:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            context.run_migrations()
            if before_commit is not None:
                before_commit(connection)


def _run_offline(options: Mapping[str, Any]) -> None:
    introduce(make_url(context.config.db_url).get_backend_name())  # type: ignore[attr-defined]
    offline = {
        "url": context.config.db_url,  # type: ignore[attr-defined]
        "literal_binds": True,
        "dialect_opts": {"paramstyle": "named"},
    }
    context.configure(**{**offline, **_options(), **options})
    with context.begin_transaction():
        context.run_migrations()


def _options() -> dict[str, Any]:
    config: Any = context.config
    metadata = _target_metadata(config)
    schemas = {table.schema for table in metadata.tables.values()} - {None}
    names = {table.name for table in metadata.tables.values()}

    def include_name(name: str | None, type_: str, _: Mapping[str, Any]) -> bool:
        if type_ == "schema":
            return name is None or name in schemas
        return type_ != "table" or name in names or not is_bookkeeping(str(name))

    return {
        "target_metadata": metadata,
        "compare_type": True,
        "render_as_batch": True,
        "render_item": render_item,
        "transactional_ddl": True,
        "include_schemas": bool(schemas),
        "include_name": include_name,
        "user_module_prefix": "sa.",
        "version_table": config.version_table_name,
        "version_table_schema": config.version_table_schema,
        "on_version_apply": config.attributes.get("on_version_apply", ()),
    }


def _target_metadata(config: Any) -> MetaData:
    """The configured schema, which all databases share; Advanced Alchemy looks under the bind key instead."""
    if not hasattr(config, "engine"):
        raise ConfigurationError(
            "These migrations are run by `toolkit database` or Advanced Alchemy's commands, not `alembic`.",
            "Run: toolkit database --help",
        )
    given: MetaData | None = config.attributes.get("target_metadata")
    return metadata_registry.get(config.bind_key) if given is None else given


@contextmanager
def transactional_ddl(connection: Connection, only_reads: bool = False) -> Iterator[None]:
    """On SQLite, let all statements be in transactions, and no foreign key be acted on meanwhile."""
    if connection.dialect.name != "sqlite":
        yield
        return
    give_back = _take_over(connection, only_reads)
    try:
        yield
    finally:
        give_back()


def with_transactional_ddl(engine: Engine, only_reads: bool = False) -> Engine:
    """The same for every connection of an engine, for an `env.py` that does not do it itself."""
    taken = engine.execution_options()

    def take_over(connection: Connection) -> None:
        _take_over(connection, only_reads)

    if engine.dialect.name == "sqlite":
        event.listen(taken, "engine_connect", take_over)
    return taken


def _take_over(connection: Connection, only_reads: bool) -> Callable[[], None]:
    """Begin SQLite's transactions in the driver's place; what gives that back.

    Python's driver begins a transaction only before rows are changed, so a migration that fails would leave
    half of its tables. And dropping a table, which is how one is altered, would delete its rows' children.
    """
    driver: Any = connection.connection.dbapi_connection
    # An asynchronous driver is behind an adapter, which has only cursors.
    innermost: Any = connection.connection.driver_connection

    def run(statement: str) -> Any:
        cursor = driver.cursor()
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        cursor.close()
        return row

    level, driver.isolation_level = driver.isolation_level, None
    (enforced,) = run("PRAGMA foreign_keys")
    run("PRAGMA foreign_keys = OFF")

    def begin(_: Connection) -> None:
        if not innermost.in_transaction:
            run("BEGIN" if only_reads else "BEGIN IMMEDIATE")

    def give_back() -> None:
        event.remove(connection, "begin", begin)
        # Within a transaction the pragma would do nothing.
        connection.rollback()
        run(f"PRAGMA foreign_keys = {enforced}")
        driver.isolation_level = level

    event.listen(connection, "begin", begin)
    return give_back


def render_item(kind: str, item: Any, autogenerate: AutogenContext) -> str | bool | None:
    """How a type or default is written into a migration; False for Alembic's own way, None for not at all."""
    if kind == "type":
        return _render_type(item, autogenerate)
    if kind == "server_default":
        return _render_default(getattr(item, "arg", None), autogenerate)
    return False


def _render_default(value: Any, autogenerate: AutogenContext) -> str | bool | None:
    """Write by its meaning what each engine spells differently: a migration is for all of them."""
    match value:
        case False_():
            return "sa.false()"
        case True_():
            return "sa.true()"
        case FunctionElement() if not value.clauses.clauses:
            return f"sa.func.{value.name}()"
    # DuckDB's dialect gives columns that number themselves such a default; each engine has its own way.
    numbered = autogenerate.dialect is not None and autogenerate.dialect.name == "duckdb"
    from toolkit.engines.duckdb.reflection import sequence_of

    return None if numbered and sequence_of(str(value)) else False


def _render_type(type_: TypeEngine[Any], autogenerate: AutogenContext) -> str | bool:
    rendered: str | bool = False
    module = type(type_).__module__
    match type_:
        case StoredObject():
            # Its own repr needs the backend to be registered.
            multiple = ", multiple=True" if type_.multiple else ""
            rendered = f"sa.StoredObject(backend={_backend_key(type_)!r}{multiple})"
        # What is stored, no more: the reprs of these hold the key, or need the libraries that encrypt.
        case EncryptedText():
            rendered = "sa.Text()"
        case EncryptedString():
            rendered = "sa.String()"
        case PasswordHash():
            rendered = f"sa.String(length={type_.length})"
        case OneTimeCode():
            rendered = "sa.JsonB"
        case JSON() if type_._variant_mapping.keys() == JsonB._variant_mapping.keys():  # noqa: SLF001 - no other way
            rendered = "sa.JsonB"
        case TypeDecorator() | UserDefinedType() if not module.startswith(("advanced_alchemy.", "sqlalchemy.")):
            autogenerate.imports.add(f"import {module}")
            rendered = f"{module}.{type_!r}"
    return rendered


def _backend_key(type_: StoredObject) -> str:
    backend = type_._raw_backend  # noqa: SLF001 - the public one needs the backend to be registered
    return backend if isinstance(backend, str) else backend.key
