"""`toolkit archive remove`: single snapshots, then the objects that no other one needs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.archive_manifest import Header
from toolkit.core.archive_origins import Origins
from toolkit.core.progress import Progress, Silent
from toolkit.errors import ConfigurationError, NeededSnapshotsError, UnknownNameError
from toolkit.operations.archive.backends import DEFAULT_STORE, open_archive
from toolkit.operations.archive.covering import needed_for
from toolkit.operations.archive.listing import described
from toolkit.operations.archive.prune_values import PruneResult, SnapshotVerdict
from toolkit.operations.archive.pruning import SCHEMA, Pruning, group_of
from toolkit.stores.archive_locks import LockKind
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.stores.archive import Archive


def remove(
    config: Config,
    snapshots: Sequence[str],
    *,
    store: str = DEFAULT_STORE,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PruneResult:
    """Remove these snapshots (ids, or their beginnings), then every object that none of the others needs.

    One whose manifest is damaged may be removed, too. Objects that rows were moved to stay.

    Raises:
        UnknownNameError: there is no such snapshot.
        NeededSnapshotsError: one of them has what none that stays has, and it is not forced.
        ArchiveBusyError: a push or a prune is running.
        StoreError: the manifest of another one is damaged, so that nobody knows what is needed.
    """
    started = time.perf_counter()
    archive = open_archive(config, store)
    with Catalogue(SCHEMA) as catalogue, nullcontext(None) if dry_run else archive.locked(LockKind.PRUNE) as lock:
        headers, problems = archive.snapshots()
        going = frozenset(_chosen(archive, each, headers, problems) for each in snapshots)
        run = Pruning(archive, catalogue, progress or Silent(), damaged=going & frozenset(problems))
        result = run.plan(_Named(archive, going, force).judge)
        if lock is not None:
            run.execute(result, lock)
    requests, seconds = archive.store.requests, time.perf_counter() - started
    return replace(result, dry_run=dry_run, requests=requests, seconds=seconds)


def _chosen(archive: Archive, text: str, headers: Sequence[Header], problems: Mapping[str, str]) -> str:
    """The id that begins so; `latest` names none here, for it is another one by the time that it is read."""
    ids = [*(header.id for header in headers), *problems]
    found = [each for each in ids if text and each.startswith(text)]
    if len(found) > 1:
        raise ConfigurationError(
            f"{archive.name}: {len(found)} snapshots begin with {text!r}; nothing was removed.", "Write more of the id."
        )
    if not found:
        raise UnknownNameError("snapshot", text, ids, archive.name)
    return found[0]


class _Named(Struct, frozen=True):
    """Those that were named go."""

    archive: Archive
    going: frozenset[str]
    force: bool

    def judge(self, headers: Sequence[Header], origins: Origins) -> tuple[SnapshotVerdict, ...]:
        """All others stay.

        Raises:
            NeededSnapshotsError: some of the named have what none that stays has.
        """
        readable = self.going & {header.id for header in headers}
        reasons = needed_for(self.archive, origins, headers, readable, lambda *_: False)
        if reasons and not self.force:
            raise NeededSnapshotsError(self.archive.name, reasons)
        return tuple(
            SnapshotVerdict(
                described(header), group_of(header, origins), () if header.id in self.going else ("not named",)
            )
            for header in headers
        )
