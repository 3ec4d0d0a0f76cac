"""What a row is to hold after its files were restored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from toolkit.core.archive_manifest import Address, FileEntry
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.rows import Cell, Reference, at_home, column_text

Place = tuple[str, str]


class Repair(Struct, frozen=True):
    """What one row is to hold, None for what it holds; and why some of its files were left out, if they were."""

    text: str | None = None
    outcome: Outcome | None = None
    reason: str | None = None


class Repairer(Struct, frozen=True):
    """Decides by what a row holds, what the snapshot saw in it, and whether the files it names are there.

    A reference is lost when it is empty, points at this very content in the archive, or at what is not there; only
    then it is replaced, unless `overwrite`.
    """

    backend_of: Callable[[str], str]
    overwrite: bool
    archived: Callable[[str, str], Address | None]
    is_gone: Callable[[str, str], bool]

    def place(self, entry: FileEntry) -> Place:
        """Where a file is restored to."""
        return self.backend_of(entry.backend), entry.path

    def repair(self, cell: Cell, entries: Sequence[FileEntry]) -> Repair:
        """The repair of one row, whose files of the snapshot are `entries`, in their order."""
        return self._several(cell, entries) if cell.multiple else self._single(cell, entries[0])

    def _restored(self, entry: FileEntry) -> bytes:
        return at_home(entry.reference, *self.place(entry))

    def _single(self, cell: Cell, entry: FileEntry) -> Repair:
        places = [(each.backend, each.path) for each in cell.references]
        if places == [self.place(entry)]:
            return Repair()
        if places and not self.overwrite and not self._is_lost(places[0], entry):
            reason = f"it points at {places[0][0]}:{places[0][1]!r}, which is there or cannot be looked at"
            return Repair(None, Outcome.ELSEWHERE, reason)
        return Repair(self._restored(entry).decode())

    def _several(self, cell: Cell, entries: Sequence[FileEntry]) -> Repair:
        """Lost references are replaced where they stand; the rest are only added to a list that was emptied."""
        places = [(each.backend, each.path) for each in cell.references]
        missing = self._missing(places, entries)
        known = {self.place(entry) for entry in entries}
        parts: list[bytes] = []
        changed = False
        for reference, place in zip(cell.references, places, strict=True):
            number = None if place in known else self._substitute(reference, missing)
            parts.append(bytes(reference.raw) if number is None else self._restored(missing.pop(number)))
            changed = changed or number is not None
        if missing and (not cell.references or self.overwrite):
            parts += map(self._restored, missing)
            return Repair(column_text(parts, multiple=True))
        text = column_text(parts, multiple=True) if changed else None
        if missing:
            names = ", ".join(repr(entry.path) for entry in missing)
            return Repair(text, Outcome.ELSEWHERE, f"its list does not have {names}")
        return Repair(text)

    def _missing(self, places: Sequence[Place], entries: Sequence[FileEntry]) -> list[FileEntry]:
        """The files that a list does not name, or not as often as it did."""
        named = Counter(places)
        missing = []
        for entry in entries:
            place = self.place(entry)
            if named[place]:
                named[place] -= 1
            else:
                missing.append(entry)
        return missing

    def _substitute(self, reference: Reference, missing: Sequence[FileEntry]) -> int | None:
        """Which of the missing files a lost reference of a list stands for."""
        place = reference.backend, reference.path
        for number, entry in enumerate(missing):
            if reference.home == (entry.backend, entry.path):
                return number if self.overwrite or self._is_lost(place, entry) else None
        return None

    def _is_lost(self, place: Place, entry: FileEntry) -> bool:
        address = self.archived(*place)
        return (address is not None and address.sha256 == entry.sha256) or self.is_gone(*place)
