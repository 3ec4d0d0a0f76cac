"""Engines whose databases are files: what of an `Engine` is the same for all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from toolkit.engines.contract import Configured, Engine, Templates
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError, EngineOptionError
from toolkit.shown_text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL


class FileEngine(Engine):
    """An engine of which each database is one file, or in memory. A package brings `connection`, and its names."""

    driver: ClassVar[str]
    """What its URLs begin with to SQLAlchemy."""
    indifferent_arguments: ClassVar[frozenset[str]] = frozenset()
    """What a driver may be given that changes neither which file it opens nor what is found there."""

    def url(self, database: Configured) -> URL:
        """The URL with the toolkit's driver, and the path from the root on."""
        url = parsed_url(database.name, database.address)
        if url.host:
            raise ConfigurationError(
                f"The address of database {database.name!r} names a host, and {self.title} databases are files.",
                f"Write {self.name}:///file, or {self.name}:////directory/file for a path from the root.",
            )
        # Elsewhere `file:` is the beginning of a name.
        start = "(file:)?" if _is_uri(url) else "()"
        found = re.match(f"{start}(.*)", url.database or "", re.DOTALL)
        assert found is not None
        scheme, path = found.groups(default="")
        placed = path if path in ("", ":memory:") else str(database.root / path)
        return url.set(drivername=self.driver, database=scheme + placed)

    def file(self, database: Configured) -> Path | None:
        """The file, None for a database in memory."""
        url = database.url
        path = url.database or ""
        if _is_uri(url) and path.startswith("file:"):
            path = "" if url.query.get("mode") == "memory" else unquote(path.removeprefix("file:"))
        return None if path in ("", ":memory:") else Path(path)

    def address_with(self, name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
        """The address itself."""
        other = arguments.keys() - self.indifferent_arguments
        if other:
            raise EngineOptionError(name, f"is given {', '.join(sorted(map(str, other)))}, which cannot be taken over")
        return url

    def is_in_memory(self, database: Configured) -> bool:
        """Whether there is no file."""
        return database.file is None

    def shown_url(self, database: Configured) -> str:
        """The address as it may be printed, without its password: URLs of files have parameters, too."""
        return without_secrets(database.url.set(drivername=self.name).render_as_string())

    def templates(self, database: Configured, directory: Path, rebuild: str | None) -> Templates:
        """Files, which are copied."""
        from toolkit.engines.portable.file_templates import FileTemplates

        return FileTemplates(database, directory, self.name, rebuild)


def _is_uri(url: URL) -> bool:
    """Whether the path is a URI itself, as SQLAlchemy sees it."""
    return str(url.query.get("uri", "")).lower() in {"true", "1", "yes", "on", "y", "t"}
