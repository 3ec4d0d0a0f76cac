"""Filling a table in parts that may outlive who began it: the ledger of a run, which is files beside the table's.

Readers of lakes pass over its folder. Who takes up or removes what others have written first commits to the table,
without a change: whoever wrote it, and goes on, cannot commit it any more. Files are only removed by name where nobody
has committed anything but this since the run was begun, so that no version of the table has them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec.structs import asdict

from toolkit.compute.segments import SegmentTotals
from toolkit.core.digest import TableDigest
from toolkit.core.parallel import in_order
from toolkit.engines.contract import Part, RunAbout, WrittenPart
from toolkit.engines.delta import log
from toolkit.engines.delta.files import noted, of_note
from toolkit.engines.delta.receipts import FOLDER
from toolkit.errors import RunError

if TYPE_CHECKING:
    from toolkit.engines.delta.session import LakeSession
    from toolkit.engines.delta.tables import LakeTable

RUNS = f"{FOLDER}/runs"
_ABOUT = "about.json"
_AT_ONCE = 16


class LakeRun:
    """A run, as the connection asks of it that commits."""

    def __init__(self, session: LakeSession, table: LakeTable, about: RunAbout) -> None:
        self._session, self._table, self.about = session, table, about
        self._folder = f"{RUNS}/{about.run}"

    def begin(self, parts: Sequence[Part]) -> None:
        """Begin the ledger."""
        base = self._table.base
        assert base is not None, "the table was made before"
        cut = [(part.number, part.condition) for part in parts]
        _put(self._table, f"{self._folder}/{_ABOUT}", {**asdict(self.about), "version": base.version, "cut": cut})

    def parts(self) -> Sequence[Part]:
        """All parts."""
        return tuple(Part(number, condition) for number, condition in self._begun["cut"])

    def loaded(self) -> Mapping[int, WrittenPart]:
        """Those that were written; of a part that was written twice, one."""
        return {part.part: part for _, part in reversed(self._written())}

    def end_others(self) -> None:
        """Let nobody else commit what was written for this run.

        Raises:
            RunError: somebody has committed to the table since it was begun.
        """
        if not self._is_alone():
            raise RunError(
                f"{self._session.database}: somebody has committed to {self._table.name} since run {self.about.run} "
                "was begun.",
                "Begin again: --restart.",
            )
        self._session.fence(self._table, self.about.run)

    def undo(self, part: int) -> None:
        """Remove a part's files."""
        for record, written in self._written():
            if written.part == part:
                self._delete([*(file.path for file in written.files), record])

    def remove(self) -> None:
        """Remove all files that no commit can have named, and the ledger; others are left to `vacuum`."""
        if self._is_alone():
            self._session.fence(self._table, self.about.run)
            self._delete([file.path for _, written in self._written() for file in written.files])
        self._forget()

    def end(self) -> None:
        """Remove the ledger of a run that is committed, and files that were written twice."""
        named = {file.path for file in self._table.files}
        self._delete([f.path for _, written in self._written() for f in written.files if f.path not in named])
        self._forget()

    @property
    def _begun(self) -> Mapping[str, Any]:
        return _read(self._table, f"{self._folder}/{_ABOUT}") or {"version": -1, "cut": []}

    def _is_alone(self) -> bool:
        base = self._table.base
        assert base is not None, "the table was made before"
        version = int(self._begun["version"])
        return not base.files and log.is_fenced_alone(
            self._session.place, self._table.name, base, version, self.about.run
        )

    def _written(self) -> list[tuple[str, WrittenPart]]:
        """What writers have told, with the places of their notes."""
        paths = [path for path in self._table.listed(self._folder) if not path.endswith(_ABOUT)]
        notes = in_order(lambda path: _read(self._table, path), paths, _AT_ONCE)
        told = zip(paths, notes, strict=True)
        return [(path, _part_of(note, self._table.schema)) for path, note in told if note is not None]

    def _forget(self) -> None:
        # What it was begun with goes last: without it, nobody would look for the rest.
        self._delete(sorted(self._table.listed(self._folder), key=lambda path: path.endswith(_ABOUT)))
        self._table.storage.remove_empty(self._folder)

    def _delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._table.storage.delete(path)


def runs(session: LakeSession, table: LakeTable) -> Sequence[LakeRun]:
    """Those that were begun for a table and not ended."""
    found = []
    for path in table.listed(RUNS):
        if path.endswith(f"/{_ABOUT}") and (note := _read(table, path)) is not None:
            known = ((name, note[name]) for name in RunAbout.__struct_fields__)
            about: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in known}
            found.append(LakeRun(session, table, RunAbout(**about)))
    return found


def note_part(table: LakeTable, run: str, part: WrittenPart) -> None:
    """Say in the ledger of a run what was written of a part, whoever else may do so, too."""
    note = {"part": part.part, "rows": part.sent.rows, "total": f"{part.sent.total:016x}"}
    path = f"{RUNS}/{run}/part-{part.part}-{uuid.uuid4().hex}.json"
    _put(table, path, {**note, "files": [noted(file) for file in part.files]})


def _part_of(note: Mapping[str, Any], schema: pa.Schema) -> WrittenPart:
    sent = TableDigest(int(note["rows"]), int(note["total"], 16))
    files = tuple(of_note(each, schema) for each in note["files"])
    return WrittenPart(int(note["part"]), sent, SegmentTotals.empty(1), files)


def _put(table: LakeTable, path: str, note: Mapping[str, Any]) -> None:
    try:
        table.storage.put(path, pa.py_buffer(json.dumps(note).encode()))
    except OSError as error:
        raise table.place.unreachable(error) from error


def _read(table: LakeTable, path: str) -> Mapping[str, Any] | None:
    """A note; None if it is gone, or its writer was killed before its end."""
    try:
        found: Mapping[str, Any] = json.loads(bytes(table.storage.get(path)))
    except (OSError, ValueError):
        return None
    return found
