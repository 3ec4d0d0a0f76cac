"""What a prune, or the removal of single snapshots, says that it did."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from toolkit.operations.archive.listing import SnapshotInfo


class SnapshotVerdict(Struct, frozen=True):
    """One snapshot and why it is kept; without a reason it goes. The policy is applied to each group by itself."""

    snapshot: SnapshotInfo
    group: str
    reasons: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


class KeptMoves(Struct, frozen=True):
    """How many pushes with --move of a database of this name are not released, and why.

    Either it was at another `place`, or the metadata lacks these `columns`, so that their rows were not looked at.
    """

    moves: int
    place: str | None = None
    columns: tuple[str, ...] = ()


class PruneResult(Struct, frozen=True):
    """What was removed, or (`dry_run`) would be. Sizes are in bytes.

    `moved_objects` are in no snapshot that stays, but kept because rows were pointed at them; `kept_moves` says of
    which it is not known whether the rows that were looked at are those. `requests`: how often the archive was asked.
    """

    archive: str
    dry_run: bool
    snapshots: tuple[SnapshotVerdict, ...]
    removed_objects: int
    removed_bytes: int
    kept_objects: int
    kept_bytes: int
    moved_objects: int
    seconds: float
    kept_moves: tuple[KeptMoves, ...] = ()
    notes: tuple[str, ...] = ()
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def removed_snapshots(self) -> int:
        """How many snapshots go."""
        return sum(not verdict.kept for verdict in self.snapshots)
