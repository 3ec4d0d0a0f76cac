"""`toolkit archive rotate-key`: what older keys encrypted, encrypted with the new one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from toolkit.core.parallel import in_parallel
from toolkit.core.progress import Progress, Silent
from toolkit.errors import DamagedObjectError, EncryptionError, MissingObjectError, NotRemovedError
from toolkit.operations.archive.backends import DEFAULT_STORE, JOBS, open_archive
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.stores.archive_locks import LOCKS, LockKind
from toolkit.stores.encrypted import EncryptedStore

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.stores.archive_locks import Lock
    from toolkit.stores.objects import ObjectInfo

_AT_ONCE = 1000


class RotateResult(Struct, frozen=True):
    """What was encrypted anew, or (`dry_run`) would be; keys are told by their ids, sizes in bytes.

    `findings` are objects that are damaged: they stay as they are, and the old keys are needed still.
    `requests`: how often the archive was asked, by kind.
    """

    archive: str
    dry_run: bool
    key: str
    old_keys: tuple[str, ...]
    objects: int
    bytes: int
    seconds: float
    findings: tuple[Finding, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all of the archive has the new key."""
        return not self.findings


def rotate_key(
    config: Config,
    *,
    store: str = DEFAULT_STORE,
    jobs: int = JOBS,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> RotateResult:
    """Write all that older keys of a store encrypted with its first key, then remove it; one that failed is continued.

    Raises:
        EncryptionError: the archive has no key, or other ones.
        ArchiveBusyError: somebody is at work there.
        NotRemovedError: the store has something in its old form still.
        StoreError: something cannot be read, written or removed; what was written anew is there once more.
    """
    started = time.perf_counter()
    archive = open_archive(config, store)
    objects = archive.store
    if not isinstance(objects, EncryptedStore):
        raise EncryptionError(archive.name, "it is not encrypted, and no key is given")
    run = _Rotation(objects, jobs, progress or Silent())
    if dry_run:
        for info in objects.of_old_keys():
            run.count(info)
    else:
        with archive.locked(LockKind.PRUNE) as lock:
            run.execute(lock)
    key, *old = objects.key_ids
    result = RotateResult(archive.name, dry_run, key, tuple(old), run.objects, run.bytes, 0.0, tuple(run.findings))
    return replace(result, requests=objects.requests, seconds=time.perf_counter() - started)


class _Rotation(Struct):
    """Objects on their way from one key to another: nothing is removed that is not there anew."""

    store: EncryptedStore
    jobs: int
    progress: Progress
    objects: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, info: ObjectInfo) -> None:
        """One more."""
        self.objects, self.bytes = self.objects + 1, self.bytes + max(0, info.size)

    def execute(self, lock: Lock) -> None:
        """Rewrite lot by lot; the old keys are forgotten when nothing needs them."""
        self.progress.step(f"encrypt {self.store.name} anew")
        old = self._old()
        while lot := list(islice(old, _AT_ONCE)):
            written = list(self._written(lot))
            self.store.settle()
            lock.require_still_there()
            self.store.forget_old(written)
        if not self.findings:
            # Whoever took the lock for void may have written with an old key.
            lock.require_still_there()
            self._require_none_old()
            self.store.forget_old_keys()

    def _require_none_old(self) -> None:
        """See that what was written anew is gone in its old form; some listings are late, so that it is asked for."""
        left = [info.key for info in self._old() if self.store.has_old(info.key)]
        if left:
            raise NotRemovedError(self.store.name, left[0], len(left))

    def _old(self) -> Iterator[ObjectInfo]:
        # Whoever is at work is not here: locks that are left are void.
        return (info for info in self.store.of_old_keys() if not info.key.startswith(LOCKS))

    def _written(self, lot: Iterable[ObjectInfo]) -> Iterator[str]:
        for info, problem in in_parallel(self._rewritten, lot, self.jobs):
            if problem is None:
                self.count(info)
                yield info.key
            else:
                self.findings.append(Finding(Outcome.CORRUPT, object=info.key, size=info.size, reason=problem))

    def _rewritten(self, info: ObjectInfo) -> tuple[ObjectInfo, str | None]:
        try:
            self.store.rewrite(info)
        except MissingObjectError:
            return info, None
        except DamagedObjectError as error:
            return info, error.problem
        return info, None
