"""Removing files that no version of a table needs that is as young as those that somebody may read."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.engines.delta.place import Place, storage
from toolkit.errors import ConfigurationError

LEAST_HOURS = 168
"""A week: whoever reads a version, or has written files that are not committed yet, is done by then."""


def vacuum(place: Place, keep_hours: int, *, dry_run: bool) -> Mapping[str, int]:
    """By table, how many files were removed, or would be.

    Raises:
        ConfigurationError: files that are younger may be read, or about to be committed.
        DatabaseUnavailableError: they cannot be listed or removed.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    if keep_hours < LEAST_HOURS:
        raise ConfigurationError(
            f"Files of the last {LEAST_HOURS} hours are kept: somebody may read them, or be about to commit them.",
            f"Say --keep-hours {LEAST_HOURS} or more.",
        )
    found = {}
    for name in place.table_names():
        try:
            table = DeltaTable(place.table(name), **storage(place))
            found[name] = len(table.vacuum(keep_hours, dry_run=dry_run, full=True))
        except TableNotFoundError:
            continue
        except (DeltaError, OSError) as error:
            raise place.unreachable(error) from error
    return found
