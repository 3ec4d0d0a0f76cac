"""Engines whose databases are files: what of an `Engine` is the same for all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from toolkit.engines.contract import Configured, Engine, Templates
from toolkit.engines.urls import parsed_url
from toolkit.shown_text import without_secrets

if TYPE_CHECKING:
    from sqlalchemy import URL


class FileEngine(Engine):
    """An engine of which each database is one file, or in memory. A package brings `connection`, and its names."""

    driver: ClassVar[str]
    """What its URLs begin with to SQLAlchemy."""

    def url(self, database: Configured) -> URL:
        """The URL with the toolkit's driver, and the path from the root on."""
        url = parsed_url(database.name, database.address)
        found = re.match("(file:)?(.*)", url.database or "", re.DOTALL)
        assert found is not None
        scheme, path = found.groups(default="")
        placed = path if path in ("", ":memory:") else str(database.root / path)
        return url.set(drivername=self.driver, database=scheme + placed)

    def file(self, database: Configured) -> Path | None:
        """The file, None for a database in memory."""
        path = database.url.database or ""
        if path.startswith("file:"):
            path = unquote(path.removeprefix("file:"))
        return None if path in ("", ":memory:") else Path(path)

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
