"""`toolkit archive audit --remove-orphans`: live files that no row of any known database points at are removed."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.durations import show_duration
from toolkit.core.parallel import in_parallel
from toolkit.core.progress import Progress, Silent
from toolkit.core.retention import OTHER_CLOCK
from toolkit.errors import SharedFilesError, ToolkitError
from toolkit.operations.archive.audit import AuditResult, audit
from toolkit.operations.archive.backends import DEFAULT_STORE, JOBS, Backends
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.sharing import (
    Holder,
    is_needed,
    needed_places,
    other_databases,
    require_apart,
    require_readable,
)
from toolkit.operations.project import load_models
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config

ORPHAN_AGE = dt.timedelta(days=7)
"""What is younger may be of a row that is not committed yet."""
_SCHEMA = "CREATE TABLE needed (location TEXT PRIMARY KEY) WITHOUT ROWID;"


class OrphanResult(Struct, frozen=True):
    """Which orphans were removed, or (`dry_run`) would be, and what else the audit found. Sizes are in bytes.

    `younger` ones stay, and what another known database's rows point at is none of them. `findings` are all that is not
    as it should be afterwards.
    """

    source: str
    dry_run: bool
    audit: AuditResult
    removed: tuple[Finding, ...]
    removed_bytes: int
    younger: int
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether nothing is left without its counterpart, but what is too young."""
        return not self.findings


def remove_orphans(
    config: Config,
    source: str,
    *,
    store: str = DEFAULT_STORE,
    older_than: dt.timedelta = ORPHAN_AGE,
    jobs: int = JOBS,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> OrphanResult:
    """Audit a database's live stores, then remove the files that no row points at and that were written so long ago.

    What rows of any other configured database point at stays. Of object stores, whose clock may be another, an hour is
    added to an age.

    Raises:
        SharedFilesError: two stores share a place, another database cannot be read, or no row at all points at a store.
        ToolkitError: the database cannot be read.
    """
    started = time.perf_counter()
    found = audit(config, source, store=store, jobs=jobs, progress=progress)
    orphans = [each for each in found.findings if each.outcome is Outcome.ORPHAN]
    with Catalogue(_SCHEMA) as catalogue:
        run = _Removal(config, source, Backends(config, store), catalogue, dry_run, progress or Silent())
        run.require_known(found, orphans)
        now = dt.datetime.now(dt.UTC)
        outcomes = list(in_parallel(lambda each: run.remove(each, now, older_than), iter(orphans), jobs))
    kinds = Counter(state for state, _ in outcomes)
    removed = tuple(each for state, each in outcomes if state == _REMOVED)
    others = tuple(each for each in found.findings if each.outcome is not Outcome.ORPHAN)
    return OrphanResult(
        found.source,
        dry_run,
        found,
        removed,
        sum(each.size or 0 for each in removed),
        kinds[_YOUNG],
        (*others, *(each for state, each in outcomes if state == _FAILED)),
        time.perf_counter() - started,
    )


_REMOVED, _YOUNG, _NEEDED, _FAILED = "removed", "too young", "needed", "failed"


class _Removal(Struct):
    config: Config
    source: str
    backends: Backends
    catalogue: Catalogue
    dry_run: bool
    progress: Progress

    def require_known(self, found: AuditResult, orphans: list[Finding]) -> None:
        """See that everybody who may need these files is known; note what they need, now that all is listed."""
        named = {each.backend for each in orphans if each.backend is not None}
        if not named:
            return
        metadata = load_models(self.config.of(self.source))
        database = self.config.database(self.source)
        others = other_databases(self.config, database, metadata)
        with _as_removal():
            require_apart(self.backends, metadata, (each.backend for each in found.backends))
            require_readable(others)
        self.progress.step("read what rows point at")
        places = needed_places((Holder(database, (metadata,)), *others), self.backends)
        self.catalogue.run_many("INSERT OR IGNORE INTO needed VALUES (?)", places)
        for each in found.backends:
            if each.backend in named and not each.rows:
                raise SharedFilesError(
                    f"no row of {found.source!r} points at any of the {each.files:,} files of {each.backend!r}",
                    "See that it is the right database (--from), and that its rows are there.",
                    _REMOVED,
                )

    def remove(self, orphan: Finding, now: dt.datetime, older_than: dt.timedelta) -> tuple[str, Finding]:
        """What became of one file: it has to be so old, and older where another clock than the one here says it."""
        backend, path = orphan.backend or "", orphan.path or ""
        if is_needed(self.catalogue, self.backends, backend, path):
            return _NEEDED, orphan
        try:
            live = self.backends.get(backend)
            info = live.info(path)
            if info is None:
                return _REMOVED, orphan
            age = now - info.last_modified
            # No age at all is asked for where nobody writes: no clock matters then.
            if older_than and age - OTHER_CLOCK * live.has_own_clock < older_than:
                return _YOUNG, orphan
            if not self.dry_run:
                live.delete(path)
        except ToolkitError as error:
            return _FAILED, replace(orphan, outcome=Outcome.UNWRITABLE, reason=error.fact)
        return _REMOVED, replace(orphan, reason=f"no row points at it; written {show_duration(age)} ago")


@contextmanager
def _as_removal() -> Iterator[None]:
    try:
        yield
    except SharedFilesError as error:
        advice = "Give each store a place of its own, make each database readable, or leave out --remove-orphans."
        raise SharedFilesError(error.reason, advice, _REMOVED) from error
