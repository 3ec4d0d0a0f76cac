"""`toolkit archive prune`: remove snapshots by a policy, then the objects that no snapshot needs."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from toolkit.core.archive_manifest import FileEntry, Header
from toolkit.core.archive_origins import Origins
from toolkit.core.progress import Progress, Silent
from toolkit.core.retention import Policy, Verdict, apply_policy, is_future
from toolkit.errors import ConfigurationError, LastSnapshotError
from toolkit.operations.archive.backends import DEFAULT_STORE, open_archive
from toolkit.operations.archive.covering import needed_for
from toolkit.operations.archive.listing import described
from toolkit.operations.archive.prune_values import PruneResult, SnapshotVerdict
from toolkit.operations.archive.pruning import SCHEMA, Pruning, group_of, note_rows
from toolkit.stores.archive_locks import LockKind
from toolkit.stores.catalogue import Catalogue

if TYPE_CHECKING:
    from toolkit.config import Config


def prune(
    config: Config,
    policy: Policy,
    *,
    store: str = DEFAULT_STORE,
    source: str | None = None,
    adopt: Sequence[str] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> PruneResult:
    """Remove the snapshots that the policy does not keep, then every object that none of the others needs.

    Snapshots of one database and the same rows (tables, conditions, age) are a group, to which the policy is applied.
    One that has what a kept one lacks stays, too, and one with conditions that has rows which no newer one has; which
    rows are gone is known of `source`.
    Objects that rows were pointed at by --move stay, unless they were rows of `source`, a database, and none of its
    rows does any more. Of other databases of its name, nothing is released; `adopt` are the places where it was before.

    Raises:
        ConfigurationError: the policy keeps nothing; `adopt` without `source`.
        UnknownNameError: no manifest names a place to adopt.
        ArchiveBusyError: a push or another prune is running.
        LastSnapshotError: no snapshot of a group would be left.
        StoreError: a manifest is damaged, so that nobody knows what is needed.
    """
    started = time.perf_counter()
    if policy.is_empty:
        raise ConfigurationError(
            "No policy was given, so that nothing would be kept.", "Say what to keep, for example --keep-last 10."
        )
    if adopt and source is None:
        raise ConfigurationError("Only a database can adopt what was moved elsewhere.", "Name it with --from.")
    archive = open_archive(config, store)
    with Catalogue(SCHEMA) as catalogue, nullcontext(None) if dry_run else archive.locked(LockKind.PRUNE) as lock:
        rows = None if source is None else note_rows(config, catalogue, source, store, adopt)
        run = Pruning(archive, catalogue, progress or Silent(), rows)
        result = run.plan(_Policy(run, policy).judge)
        if lock is not None:
            run.execute(result, lock)
    requests, seconds = archive.store.requests, time.perf_counter() - started
    return replace(result, dry_run=dry_run, requests=requests, seconds=seconds)


class _Policy(Struct, frozen=True):
    """A policy, applied to each group of snapshots by itself."""

    run: Pruning
    policy: Policy

    def judge(self, headers: Sequence[Header], origins: Origins) -> tuple[SnapshotVerdict, ...]:
        """The verdict of the policy; but what has the last copy of a file that rows may point at stays."""
        verdicts = tuple(self._verdicts(headers, origins))
        going = frozenset(each.snapshot.id for each in verdicts if not each.kept)

        def is_gone(header: Header, entry: FileEntry) -> bool:
            return self.run.rows is not None and self.run.rows.are_gone(self.run.catalogue, origins, header, entry)

        reasons = needed_for(self.run.archive, origins, headers, going, is_gone)
        return tuple(
            replace(each, reasons=(reasons[each.snapshot.id],)) if each.snapshot.id in reasons else each
            for each in verdicts
        )

    def _verdicts(self, headers: Sequence[Header], origins: Origins) -> Iterator[SnapshotVerdict]:
        groups: dict[str, list[Header]] = {}
        now = dt.datetime.now(dt.UTC)
        for header in headers:
            groups.setdefault(group_of(header, origins), []).append(header)
        for group, members in sorted(groups.items()):
            # One by a clock that was wrong takes the place of none that is really the newest.
            future = [each for each in members if is_future(each, now)]
            found: tuple[Verdict[Header], ...] = apply_policy(
                [each for each in members if each not in future], self.policy, now
            )
            if found and not any(verdict.kept for verdict in found):
                raise LastSnapshotError(self.run.archive.name, group)
            for verdict in (*(Verdict(each, ("made in the future",)) for each in future), *found):
                yield SnapshotVerdict(described(verdict.snapshot), group, verdict.reasons)
