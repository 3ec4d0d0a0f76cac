"""What a row is to hold after its files were restored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from toolkit.core.archive_manifest import Address, FileEntry
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.rows import Cell, Reference, at_home, column_text

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Repair:
    """What one row is to hold, None for what it holds; and why some of its files were left out, if they were."""

    text: str | None = None
    outcome: Outcome | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Repairer:
    """Decides by what a row holds, what the snapshot saw in it, and whether the files it names are there.

    A reference is lost when it is empty, points at this very content in the archive, or at what is not there; only
    then it is replaced, unless `overwrite`.
    """

    backend: str | None
    overwrite: bool
    archived: Callable[[str, str], Address | None]
    is_there: Callable[[str, str], bool]

    def place(self, entry: FileEntry) -> Place:
        """Where a file is restored to."""
        return self.backend or entry.backend, entry.path

    def repair(self, cell: Cell, entries: Sequence[FileEntry]) -> Repair:
        """The repair of one row, whose files of the snapshot are `entries`, in their order."""
        restored = {self.place(entry): at_home(entry.reference, *self.place(entry)) for entry in entries}
        places = [(each.backend, each.path) for each in cell.references]
        if not cell.multiple:
            return self._single(places, restored, entries[0])
        return self._several(cell, places, restored, entries)

    def _single(self, places: Sequence[Place], restored: dict[Place, bytes], entry: FileEntry) -> Repair:
        (wanted, reference), *_ = restored.items()
        if places == [wanted]:
            return Repair()
        if places and not self.overwrite and not self._is_lost(places[0], entry):
            return Repair(None, Outcome.ELSEWHERE, f"it points at {places[0][0]}:{places[0][1]!r}, which is there")
        return Repair(reference.decode())

    def _several(
        self, cell: Cell, places: Sequence[Place], restored: dict[Place, bytes], entries: Sequence[FileEntry]
    ) -> Repair:
        """Lost references are replaced where they stand; the rest are only added to a list that was emptied."""
        wanted = list(restored)
        parts: list[bytes] = []
        done: set[Place] = {place for place in places if place in restored}
        for reference, place in zip(cell.references, places, strict=True):
            substitute = None if place in restored else self._substitute(reference, entries, done)
            if substitute is None:
                parts.append(bytes(reference.raw))
            else:
                parts.append(restored[substitute])
                done.add(substitute)
        missing = [place for place in wanted if place not in done]
        changed = len(done) > sum(place in restored for place in places)
        if missing and (not cell.references or self.overwrite):
            parts += [restored[place] for place in missing]
            return Repair(column_text(parts, multiple=True))
        text = column_text(parts, multiple=True) if changed else None
        if missing:
            return Repair(text, Outcome.ELSEWHERE, f"its list does not have {', '.join(repr(p) for _, p in missing)}")
        return Repair(text)

    def _substitute(
        self, reference: Reference, entries: Sequence[FileEntry], done: Collection[Place]
    ) -> Place | None:
        """The restored file that a lost reference of a list stands for."""
        place = reference.backend, reference.path
        for entry in entries:
            if self.place(entry) not in done and reference.home == (entry.backend, entry.path):
                return self.place(entry) if self.overwrite or self._is_lost(place, entry) else None
        return None

    def _is_lost(self, place: Place, entry: FileEntry) -> bool:
        address = self.archived(*place)
        return (address is not None and address.sha256 == entry.sha256) or not self.is_there(*place)
