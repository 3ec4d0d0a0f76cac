"""What one command works on: the models, the migrations and their `env.py`, each loaded once, when it is asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import MetaData

from toolkit.errors import ConfigurationError
from toolkit.models.loader import load_metadata, require_models
from toolkit.operations.discovery import discover
from toolkit.operations.migrations.environments import Environment, has_history
from toolkit.operations.migrations.heads import written_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alembic.script import ScriptDirectory
    from sqlalchemy import Table

    from toolkit.config import Config, Database
    from toolkit.core.renames import Renames


def load_models(config: Config) -> MetaData:
    """The tables of the configured models. Raises what `load_metadata` does."""
    if not config.metadata:
        found = discover(config.root)
        # A database that lies here is of no use to whoever asked for what is in models.
        is_found = found.configurations or found.models
        advice = "Say where they are: --metadata MODULE:ATTR, or `metadata` in the settings."
        raise ConfigurationError("No models are configured.", found.advice if is_found else advice)
    if config.models is None:
        return load_metadata(config.metadata, config.root)
    require_models(config.models, f"the configuration {config.metadata!r}")
    return config.models


class Project(Struct, frozen=True, dict=True):
    """A configuration with what it names, as of when it was first looked at.

    A verb makes one of the configuration that it is given, and hands it on. It does not see what is written to the
    project's files meanwhile: who adds a migration looks with a new one.
    """

    config: Config

    @property
    def is_reflected(self) -> bool:
        """Whether the tables are those of databases, because there are no models."""
        return False

    @property
    def origin(self) -> str:
        """What tables are made from where there are no migrations, in words."""
        return "the models"

    def definitions(self, database: Database, tables: Sequence[Table]) -> Sequence[str]:
        """The statements that make these tables in a new database, where something better is known than the models."""
        return ()

    @cached_property
    def metadata(self) -> MetaData:
        """The models' tables. Raises what `load_metadata` does."""
        return load_models(self.config)

    @cached_property
    def has_history(self) -> bool:
        """Whether there is a directory of migrations, and they are to be run."""
        return self.config.tables_from != "models" and has_history(self.config)

    @cached_property
    def environment(self) -> Environment:
        """Whose `env.py` it has."""
        return Environment.of(self.config)

    @cached_property
    def version_table(self) -> Table:
        """Where Alembic records the revision: as `env.py` or the setting says, else by whose `env.py` it is."""
        return self.environment.versions()

    @cached_property
    def heads(self) -> Sequence[str]:
        """The revisions that the history ends at, mostly one. Raises what `load_scripts` does."""
        head = None if "scripts" in vars(self) else written_head(self.config)
        return self.scripts.get_heads() if head is None else [head]

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """The migrations. Raises what `load_scripts` does."""
        # Alembic takes longer to load than to look at a database: who only asks for its revision does without.
        from toolkit.operations.migrations.scripts import load_scripts

        return load_scripts(self.config, self.environment)


class History(Project, frozen=True, dict=True):
    """A project of which only the history is asked: who runs migrations needs no models."""

    @cached_property
    def metadata(self) -> MetaData:
        """The models' tables, or none where none are configured. Raises what `load_metadata` does."""
        return load_models(self.config) if self.config.metadata else MetaData()


class ProjectElsewhere(Project, frozen=True, dict=True):
    """A project whose tables have other names in a database: of those its migrations know nothing."""

    names: Renames
    renamed: Project

    @property
    def is_reflected(self) -> bool:
        """Whether the tables are those of databases, because there are no models."""
        return self.renamed.is_reflected

    @property
    def origin(self) -> str:
        """What tables are made from where there are no migrations, in words."""
        return self.renamed.origin

    @cached_property
    def metadata(self) -> MetaData:
        """The models' tables, in these names."""
        return self.names.metadata

    @cached_property
    def has_history(self) -> bool:
        """Whether there is a directory of migrations: none that makes these tables."""
        return False
