"""Whose `env.py` a migrations directory has: whether it is run, and where its revisions are recorded."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy import Column, MetaData, String, Table

if TYPE_CHECKING:
    from toolkit.config import Config

OWN_ENVIRONMENT = Path(__file__).parent / "template"
"""The directory of the `env.py` that runs migrations on any engine."""
_OWN_MODULES = ("toolkit.migration_environment", "toolkit.operations.migration_environment")
"""Where an `env.py` has this package's from: the public path, and the one of earlier versions."""


class Environment(Struct, frozen=True):
    """What can be told of an `env.py` without running it.

    `takes_engine`: it runs on the engine that it is given, as this package's and Advanced Alchemy's synchronous one do.
    Others connect by themselves: to the database that the application's settings name, whichever is meant here. Those
    are left to the application, and this package's runs the same migrations.
    """

    takes_engine: bool
    version_table: str
    version_table_schema: str | None

    @classmethod
    def of(cls, config: Config) -> Environment:
        """Read the one of the configured directory; without any, it is taken for this package's."""
        path = config.migrations / "env.py"
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else _OWN_MODULES[0]
        given = _text_arguments(text)
        is_own = any(module in text for module in _OWN_MODULES)
        # Names of Advanced Alchemy's configuration, which Alembic's has not.
        is_alchemys = "config.engine" in text or "config.version_table_name" in text
        default = "alembic_versions" if is_alchemys or is_own else "alembic_version"
        return cls(
            takes_engine=is_own or ("config.engine" in text and "async with" not in text),
            version_table=given.get("version_table") or config.version_table or default,
            version_table_schema=given.get("version_table_schema") or config.version_table_schema,
        )

    def versions(self) -> Table:
        """Where Alembic records the revision that a database stands at."""
        version = Column("version_num", String(32), primary_key=True)
        return Table(self.version_table, MetaData(), version, schema=self.version_table_schema)


def has_history(config: Config) -> bool:
    """Whether there is a directory of migrations."""
    return (config.migrations / "env.py").is_file()


def _text_arguments(source: str) -> dict[str, str]:
    """The keyword arguments of any call that are given as plain strings."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    return {
        keyword.arg: keyword.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str)
    }
