"""What a verification of an encrypted archive can tell whoever has no key: machines that only keep watch need none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from toolkit.core.parallel import in_parallel
from toolkit.errors import MissingObjectError, StoreError
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.stores.archive_locks import LOCKS
from toolkit.stores.encrypted import KEYS, key_ids
from toolkit.stores.objects import ObjectInfo, ObjectStore
from toolkit.stores.sealing import checked_without_key, is_sealed_name, plain_size

if TYPE_CHECKING:
    from toolkit.config import Store
    from toolkit.core.progress import Progress


class Watched(Struct, frozen=True):
    """All objects of an encrypted archive, whatever they are, their bytes as stored, and what is wrong with some."""

    archive: str
    objects: int
    bytes: int
    findings: tuple[Finding, ...]
    requests: Mapping[str, int]


def watch(store: Store, read_data: bool, jobs: int, progress: Progress) -> Watched:
    """Whether all that lies there is encrypted, of a whole size, and (`read_data`) has the checksum that it says.

    Which objects belong to which snapshot is hidden, so that one which is missing is found with the key alone.
    """
    objects = ObjectStore(store)
    known = key_ids(objects)
    progress.step(f"list {objects.name}")
    count, size, findings = 0, 0, []

    def looked_at(info: ObjectInfo) -> tuple[ObjectInfo, Finding | None]:
        return info, _problem(objects, info, known, read_data)

    watched = (info for info in objects.list() if not info.key.startswith(LOCKS))
    for info, finding in in_parallel(looked_at, watched, jobs):
        count, size = count + 1, size + info.size
        if finding is not None:
            findings.append(finding)
    return Watched(objects.name, count, size, tuple(findings), objects.requests)


def _problem(objects: ObjectStore, info: ObjectInfo, known: set[str], read_data: bool) -> Finding | None:
    def found(outcome: Outcome, reason: str) -> Finding:
        return Finding(outcome, object=info.key, size=info.size, reason=reason)

    if not is_sealed_name(info.key) and not info.key.startswith(KEYS):
        return found(Outcome.UNRECOGNISED, "it is not named like an object of an encrypted archive")
    if plain_size(info.size) < 0:
        return found(Outcome.SIZE_DIFFERS, f"no whole object has {info.size} bytes")
    if not read_data:
        return None
    try:
        key, problem = checked_without_key(objects.read(info.key))
    except MissingObjectError:
        return None  # Pruned meanwhile.
    except StoreError as error:
        return found(Outcome.UNREADABLE, error.problem)
    if problem is None and key not in known:
        problem = f"it is encrypted with key {key}, which is none of this archive"
    return None if problem is None else found(Outcome.CORRUPT, problem)
