"""Removing files that no version of a table needs that is as young as those that somebody may read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from toolkit.engines.delta import log
from toolkit.engines.delta.place import Place, storage
from toolkit.engines.delta.receipts import FOLDER
from toolkit.engines.delta.runs import RUNS
from toolkit.engines.delta.storage import listed
from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow import fs

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
            beside = _beside(place, name, table, datetime.now(UTC) - timedelta(hours=keep_hours))
            found[name] = len(table.vacuum(keep_hours, dry_run=dry_run, full=True)) + len(beside)
            for path in () if dry_run else beside:
                place.files(name).delete(path)
        except TableNotFoundError:
            continue
        except (DeltaError, OSError) as error:
            raise place.unreachable(error) from error
    return found


def _beside(place: Place, name: str, table: DeltaTable, before: datetime) -> list[str]:
    """What lies beside a table's files and is of no use: totals of versions that are gone, and ledgers of old runs."""
    files = listed(place.files(name), FOLDER)
    runs: dict[str, list[fs.FileInfo]] = {}
    for each in files:
        if str(each.path).startswith(f"{RUNS}/"):
            runs.setdefault(str(each.path).split("/")[2], []).append(each)
    ended = [each for run in runs.values() if all(_is_old(file, before) for file in run) for each in run]
    needed = set(_needed(table, before))
    totals = [each for each in files if str(each.path).endswith(".arrow") and each.path not in needed]
    return [str(each.path) for each in (*ended, *totals) if _is_old(each, before)]


def _is_old(file: fs.FileInfo, before: datetime) -> bool:
    return file.mtime is not None and file.mtime < before


def _needed(table: DeltaTable, before: datetime) -> Iterable[str]:
    """The totals of the versions that are kept: those that were committed since, and the one that was last then."""
    for each in table.history():
        told = json.loads(each.get(log.APPLICATION) or "{}")
        if "segments" in told:
            yield told["segments"]
        if told and each["timestamp"] / 1000 < before.timestamp():
            return
