"""Removing files of a database that nothing needs any more but reading it as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from toolkit.config import Config

KEEP_HOURS = 168


class VacuumedTable(Struct, frozen=True):
    """How many files of a table were removed, or (`dry_run`) would be."""

    table: str
    files: int


class Vacuumed(Struct, frozen=True):
    """What was removed, or would be; what is younger than so many hours is kept."""

    database: str
    keep_hours: int
    tables: tuple[VacuumedTable, ...]
    dry_run: bool


def vacuum(config: Config, database: str, *, keep_hours: int = KEEP_HOURS, dry_run: bool = False) -> Vacuumed:
    """Remove the files that no version of the last `keep_hours` has, and that were written for none.

    Raises:
        ConfigurationError: its engine keeps no such files, or younger ones would go, which somebody may need.
        UnknownNameError: there is no such database.
        DatabaseUnavailableError: they cannot be removed.
    """
    found = config.database(database)
    removed = found.kind.vacuum(found, keep_hours, dry_run=dry_run)
    if removed is None:
        raise ConfigurationError(
            f"{found.name} has no files to remove: {found.kind.title} keeps none of earlier versions.",
            "Name a lake (delta+file:///directory, delta+s3://bucket/prefix).",
        )
    tables = tuple(VacuumedTable(name, files) for name, files in removed.items())
    return Vacuumed(found.name, keep_hours, tables, dry_run)
