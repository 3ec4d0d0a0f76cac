"""`toolkit load-data`: write fixtures into a database."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.core.plan import SyncResult
from toolkit.core.progress import Progress, Silent
from toolkit.core.tables import select_tables
from toolkit.errors import FixtureError
from toolkit.models.loader import load_metadata
from toolkit.operations.transfer import Options, transfer
from toolkit.stores.fixtures import FixtureDirectory

if TYPE_CHECKING:
    from toolkit.config import Config


def load_data(
    config: Config,
    target: str,
    tables: Sequence[str] = (),
    *,
    directory: Path | None = None,
    dry_run: bool = False,
    options: Options | None = None,
    progress: Progress | None = None,
) -> SyncResult:
    """Insert or update the rows of fixture files, all in one verified transaction.

    Raises:
        ToolkitError: everything that can go wrong, with what to do next; the target is then as it was before.
    """
    started = time.perf_counter()
    options = options or Options()
    source = FixtureDirectory(directory or config.fixtures)
    specs = select_tables(load_metadata(config.metadata, config.root), tables)
    found = [spec for spec in specs if source.has(spec)]
    lacking = [spec.name for spec in specs if not source.has(spec)]
    if lacking and (tables or not found):
        raise FixtureError(source.name, f"there is no file for {', '.join(lacking)} (looked for <table>.json)")
    database = config.database(target)
    created, results = transfer(
        source, database, config, found, dry_run=dry_run, options=options, progress=progress or Silent()
    )
    verified, elapsed = options.verify and not dry_run, time.perf_counter() - started
    return SyncResult(source.name, database.name, dry_run, created, verified, results, elapsed)
