"""Who runs an `env.py`: this package's or Advanced Alchemy's commands, plain Alembic, or an application by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advanced_alchemy.base import metadata_registry
from alembic import context
from alembic.util import CommandError
from msgspec import Struct
from sqlalchemy import URL, make_url

from toolkit.config import load_config
from toolkit.operations.project import Project

if TYPE_CHECKING:
    from sqlalchemy import MetaData


class Caller(Struct, frozen=True, dict=True):
    """What the one who runs it has said; what it has not is as the project around `alembic.ini` is configured."""

    alembic: Any
    """Alembic's configuration; Advanced Alchemy's has some attributes more."""

    @classmethod
    def now(cls) -> Caller:
        """The one who runs the `env.py` that asks."""
        return cls(context.config)

    @cached_property
    def project(self) -> Project:
        """The project whose migrations these are."""
        settings = Path(self.alembic.config_file_name or "alembic.ini").absolute()
        config = load_config(settings.parent if settings.is_file() else Path.cwd())
        return Project(replace(config, migrations=Path(context.script.dir)))

    @property
    def generates(self) -> bool:
        """Whether the database is to be compared with the models."""
        options: dict[str, Any] = context._proxy.context_opts  # type: ignore[attr-defined]  # noqa: SLF001 - no other way
        revision = options.get("revision_context")
        return revision is not None and bool(revision.command_args.get("autogenerate"))

    @property
    def given(self) -> Any:
        """The engine or connection to run on, synchronous or not; None where there is only a URL."""
        connection = self.alembic.attributes.get("connection")
        return getattr(self.alembic, "engine", None) if connection is None else connection

    @property
    def url(self) -> URL:
        """Where the database is.

        Raises:
            CommandError: nobody has said so; Alembic shows it without a traceback.
        """
        found = getattr(self.alembic, "db_url", None) or self.alembic.get_alembic_option("sqlalchemy.url")
        if not found:
            raise CommandError(
                "Alembic does not know which database is meant. Run: toolkit database upgrade --database NAME; or set "
                "sqlalchemy.url in alembic.ini."
            )
        return make_url(found)

    @property
    def metadata(self) -> MetaData:
        """The schema, which all databases share; Advanced Alchemy looks under the bind key instead."""
        given: MetaData | None = self.alembic.attributes.get("target_metadata")
        if given is not None:
            return given
        if hasattr(self.alembic, "bind_key"):
            return metadata_registry.get(self.alembic.bind_key)
        return self.project.metadata

    @property
    def version_table(self) -> tuple[str, str | None]:
        """Name and schema of the table in which the revision is recorded."""
        if hasattr(self.alembic, "version_table_name"):
            return self.alembic.version_table_name, self.alembic.version_table_schema
        environment = self.project.environment
        return environment.version_table, environment.version_table_schema
