"""What the `env.py` of a migrations directory does, for this package's commands and Advanced Alchemy's."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from advanced_alchemy.types import (
    JsonB,
    StoredObject,
)
from alembic import context
from sqlalchemy import JSON, Connection
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.elements import False_, TextClause, True_
from sqlalchemy.sql.functions import FunctionElement, next_value
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType
from sqlalchemy.util import generic_repr

from toolkit.engines.registry import engine_of_dialect
from toolkit.operations.migrations.caller import Caller
from toolkit.operations.migrations.generated_operations import review
from toolkit.operations.migrations.generic import stored_type
from toolkit.operations.migrations.reflected_tables import COMPARISON, Comparison
from toolkit.operations.migrations.revisions import is_bookkeeping, opened
from toolkit.operations.migrations.sequences import rendered_sequence
from toolkit.operations.migrations.transactions import transactional_ddl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alembic.autogenerate.api import AutogenContext
    from sqlalchemy.ext.asyncio import AsyncEngine

    from toolkit.engines.contract import Engine


def run_migrations(**options: Any) -> None:
    """Run what the command asked for. `options` replace those given to `context.configure`."""
    if context.is_offline_mode():
        _run_offline(options)
    else:
        _run_online(options)


def _run_online(options: Mapping[str, Any]) -> None:
    from sqlalchemy.ext.asyncio import AsyncEngine

    caller = Caller.now()
    given: Any = caller.given
    if isinstance(given, AsyncEngine):
        asyncio.run(_run_awaiting(given, options))
    elif isinstance(given, Connection):
        _run_on(given, options)
    elif given is not None:
        with given.connect() as connection:
            _run_on(connection, options)
    else:
        database = caller.project.config.database(caller.url.render_as_string(hide_password=False))
        # Disposed of, as DuckDB lets nobody else at its file before.
        with opened(database) as engine, engine.connect() as connection:
            _run_on(connection, options)


async def _run_awaiting(engine: AsyncEngine, options: Mapping[str, Any]) -> None:
    """An application with an asynchronous engine gives that to Advanced Alchemy's commands."""
    async with engine.connect() as connection:
        await connection.run_sync(_run_on, options)
    await engine.dispose()


def _run_on(connection: Connection, options: Mapping[str, Any]) -> None:
    config: Any = context.config
    kind = engine_of_dialect(connection.dialect.name)
    if kind is not None:
        # Whoever's `env.py` is run.
        kind.introduce_to_alembic()
    only_reads = bool(config.attributes.get("only_reads"))
    before_commit = config.attributes.get("before_commit")
    with transactional_ddl(connection, only_reads):
        context.configure(
            **{"connection": connection, "dont_mutate": only_reads, **_compared(connection, _options(options, kind))}
        )
        with context.begin_transaction():
            if kind is not None and not only_reads:
                kind.lock_migrations(connection)
            context.run_migrations()
            if before_commit is not None:
                before_commit(connection)


def _compared(connection: Connection, options: dict[str, Any]) -> dict[str, Any]:
    """Let autogeneration by other commands than this package's go by the history, as these do."""
    caller = Caller.now()
    if caller.alembic.attributes.get("only_reads") or not caller.generates:
        return options
    comparison = Comparison.of(caller.project, connection.dialect)
    own = options.get("process_revision_directives")

    def process(of: Any, revision: Any, directives: list[Any]) -> None:
        for each in directives:
            review(each, comparison)
        if own is not None:
            own(of, revision, directives)

    caller.alembic.attributes[COMPARISON] = comparison
    return {**options, "process_revision_directives": process}


def _run_offline(options: Mapping[str, Any]) -> None:
    url = Caller.now().url
    kind = engine_of_dialect(url.get_backend_name())
    if kind is not None:
        kind.introduce_to_alembic()
    offline = {"url": url, "literal_binds": True, "dialect_opts": {"paramstyle": "named"}}
    context.configure(**{**offline, **_options(options, kind)})
    with context.begin_transaction():
        context.run_migrations()


def _options(given: Mapping[str, Any], kind: Engine | None) -> dict[str, Any]:
    """What Alembic is told, where `env.py` does not say otherwise."""
    caller = Caller.now()
    metadata = given.get("target_metadata") or caller.metadata
    schemas = {table.schema for table in metadata.tables.values()} - {None}
    names = {table.name for table in metadata.tables.values()}
    version_table, version_table_schema = caller.version_table

    def include_name(name: str | None, type_: str, _: Mapping[str, Any]) -> bool:
        if type_ == "schema":
            return name is None or name in schemas
        return type_ != "table" or name in names or not is_bookkeeping(str(name))

    return {
        "target_metadata": metadata,
        "compare_type": True,
        "render_as_batch": True,
        "render_item": render_item,
        "transactional_ddl": kind is None or kind.has_transactional_ddl,
        "include_schemas": bool(schemas),
        "include_name": include_name,
        "user_module_prefix": "sa.",
        "version_table": version_table,
        "version_table_schema": version_table_schema,
        "on_version_apply": caller.alembic.attributes.get("on_version_apply", ()),
        **given,
    }


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
        case str():
            # Alembic would take quotes at its ends for those of SQL.
            return repr(value)
        case False_():
            return "sa.false()"
        case True_():
            return "sa.true()"
        case next_value():
            return f"{rendered_sequence(value.sequence)}.next_value()"
        case TextClause() if "nextval(" not in value.text:
            is_word = re.fullmatch(r"-?[\w.]+|'(?:[^']|'')*'|\(.*\)", value.text.strip(), re.DOTALL)
            # SQLite takes no expression without parentheses.
            return f"sa.text({(value.text if is_word else f'({value.text})')!r})"
        case FunctionElement() if not value.clauses.clauses:
            return f"sa.func.{value.name}()"
    kind = None if autogenerate.dialect is None else engine_of_dialect(autogenerate.dialect.name)
    # Each engine has its own way to number rows.
    return None if kind is not None and kind.is_numbering(str(value)) else False


def _render_type(type_: TypeEngine[Any], autogenerate: AutogenContext) -> str | bool:
    stored = stored_type(type_)
    rendered: str | bool = False if stored is type_ else f"sa.{stored!r}"
    type_, module = stored, type(stored).__module__
    match type_:
        case StoredObject():
            # Its own repr needs the backend to be registered.
            multiple = ", multiple=True" if type_.multiple else ""
            rendered = f"sa.StoredObject(backend={_backend_key(type_)!r}{multiple})"
        case JSON() if type_._variant_mapping.keys() == JsonB._variant_mapping.keys():  # noqa: SLF001 - no other way
            rendered = "sa.JsonB"
        case JSONB():
            # Alembic knows how on PostgreSQL only.
            autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
            rendered = "postgresql.JSONB()"
        case TypeDecorator() | UserDefinedType() if not module.startswith(("advanced_alchemy.", "sqlalchemy.")):
            autogenerate.imports.add(f"import {module}")
            rendered = f"{module}.{_as_made(type_)}"
    return rendered


def _as_made(type_: TypeEngine[Any]) -> str:
    """A user's type by its own arguments, where it takes other ones than the type that it is made of."""
    kind = type(type_)
    is_own = kind.__init__ is not TypeDecorator.__init__ and kind.__repr__ is TypeDecorator.__repr__
    return generic_repr(type_) if is_own else repr(type_)


def _backend_key(type_: StoredObject) -> str:
    backend = type_._raw_backend  # noqa: SLF001 - the public one needs the backend to be registered
    return backend if isinstance(backend, str) else backend.key
