"""Whatever is pushed, changed, moved, pruned, removed, erased and restored in whatever order: nothing is lost by it.

No snapshot that is kept loses anything, and no file that a row points at and that was ever archived gets out of reach.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.operations.archive_example import Gallery, gallery
from toolkit.config import load_config
from toolkit.core.archive_manifest import ERASED
from toolkit.errors import ArchivedRowsError, NeededSnapshotsError
from toolkit.operations.archive import sending
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.erasing import forget

numbers = st.integers(0, 3)
# Few contents, so that files share them; one large enough to be worth compressing.
contents = st.sampled_from([b"", b"A", b"C", b"B" * 5000, bytes(range(256)) * 8])


class Sequences(RuleBasedStateMachine):
    """A gallery, its archive, and what both should hold."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="tk-archive-")
        root = Path(self.folder.name)
        (root / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
        config = load_config(root, {"TOOLKIT_SQLITE_URL": f"sqlite:///{root}/one.sqlite3"})
        self.world: Gallery = gallery(config, "sqlite")
        self.rows: dict[int, bytes] = {}
        self.lost: set[int] = set()
        self.snapshots: dict[str, dict[int, bytes]] = {}
        self.homes: dict[str, dict[int, tuple[str, int]]] = {}
        self.lacking: dict[str, set[tuple[str | None, int | None]]] = {}
        # By row, where its file was and what, as it was last archived as what the row says.
        self.held: dict[int, tuple[str, bytes]] = {}
        self.has_conditions = False
        self.generation = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(number=numbers, content=contents)
    def write(self, number: int, content: bytes) -> None:
        """A row with a new file under a name of its own, in place of the one that it may have had."""
        self.world.run(f"DELETE FROM photo WHERE id = {number}")
        self.generation += 1
        self.world.photo(number, f"{number}/{self.generation}", content)
        self.rows[number] = content
        self.lost.discard(number)
        self.held.pop(number, None)

    @rule(number=numbers, content=contents)
    def overwrite(self, number: int, content: bytes) -> None:
        """The same row, its file written anew where it is."""
        row = self.world.rows().get(number)
        if row is not None and row["backend"] == "attachments":
            self.world.put(row["filename"], content, fresh=True)
            self.rows[number] = content
            self.lost.discard(number)

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        """A row goes; its file stays behind."""
        self.world.run(f"DELETE FROM photo WHERE id = {number}")
        self.rows.pop(number, None)
        self.lost.discard(number)
        self.held.pop(number, None)

    @rule(number=numbers)
    def lose(self, number: int) -> None:
        """A live file goes."""
        row = self.world.rows().get(number)
        if row is not None and row["backend"] == "attachments":
            (self.world.live / row["filename"]).unlink(missing_ok=True)
            self.lost.add(number)

    @rule(compress=st.booleans(), rehash=st.booleans())
    def push(self, compress: bool, rehash: bool) -> None:
        self._push(compress=compress, rehash=rehash)

    @rule(wanted=st.sets(numbers, min_size=1))
    def push_some(self, wanted: set[int]) -> None:
        """The rows of a condition that names them as times, so that all such snapshots are of one group."""
        self.has_conditions = True
        listed = ", ".join(f"'2024-01-01{number}'" for number in sorted(wanted))
        self._push(wanted, where={"photo": f"'2024-01-01' || id IN ({listed})"})

    @rule(number=numbers, change=st.sampled_from(["lose", "overwrite"]), content=contents)
    def push_while_a_file_changes(self, number: int, change: str, content: bytes) -> None:
        """The file of a row goes, or is written anew, after the push looked at it."""
        before = {n: each for n, each in self.rows.items() if n not in self.lost}
        usual = sending.Sender.send

        def send(sender: sending.Sender) -> None:
            self.lose(number) if change == "lose" else self.overwrite(number, content)
            usual(sender)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sending.Sender, "send", send)
            result = self.world.push()
        self._note(result.snapshot)
        if result.snapshot is None:
            return
        for row in set(before) | set(self.snapshots[result.snapshot]):
            found = self.snapshots[result.snapshot].get(row)
            if row != number:
                assert found == before[row]
            elif found is None:
                assert not result.complete
            else:
                assert found in (before.get(row), self.rows[row])

    @rule()
    def move(self) -> None:
        stale = self.stale()
        self._push(move=True)
        backends = {number: row["backend"] for number, row in self.world.rows().items() if number not in self.lost}
        assert {number for number, backend in backends.items() if backend != "archive"} == stale

    def stale(self) -> set[int]:
        """The rows whose file was written anew behind their back, and has not the size that they say."""
        rows = self.world.rows()
        return {n for n in self.rows if n not in self.lost and rows[n]["size"] != len(self.rows[n])}

    def _push(self, wanted: set[int] | None = None, **options: Any) -> None:
        rows = set(self.rows) & (wanted or set(self.rows))
        stale = self.stale() & rows
        result = self.world.push(**options)
        expected = {number: content for number, content in self.rows.items() if number in rows - self.lost}
        assert (result.snapshot is None) == (not expected)
        assert len(result.findings) == len(self.lost & rows) + len(stale)
        self._note(result.snapshot)
        if result.snapshot is not None:
            assert self.snapshots[result.snapshot] == expected

    def _note(self, snapshot: str | None) -> None:
        """What a snapshot has, and what it has of what rows say."""
        if snapshot is None:
            return
        found = {key[0]: content for (_, key, _), content in self.world.contents(snapshot).items()}
        self.snapshots[snapshot] = found
        self.homes[snapshot] = {e.key["id"]: (e.path, e.size) for e in self.world.archive.entries(snapshot)}
        header = self.world.archive.find(snapshot)
        self.lacking[snapshot] = {(e.path, e.size) for e in self.world.archive.lacking(header)}
        rows = self.world.rows()
        for number, content in found.items():
            if number in rows and rows[number]["size"] == len(content):
                self.held[number] = self.home(rows[number]), content

    @staticmethod
    def home(row: Any) -> str:
        """Where the file of a row is, or was before it was moved."""
        return str(row["metadata"].get("archived_from", row)["filename"])

    @precondition(lambda self: self.snapshots)
    @rule(last=st.integers(1, 3), moved=st.booleans())
    def prune(self, last: int, moved: bool) -> None:
        before = self.homes
        self.world.prune(last=last, source="sqlite" if moved else None)
        left = [header.id for header in self.world.archive.snapshots()[0]]
        newest = list(self.snapshots)[-last:]
        assert self.has_conditions or set(left) >= set(newest)
        self._keep(left)
        if self.has_conditions:
            return
        # What any that is left lacks, and any had, one that is left has; only for that more stay than were asked.
        wanted = {each for snapshot in left for each in self.lacking[snapshot]}
        for path, size in wanted:
            had, has = (
                any(path == p and size in (None, s) for files in some.values() for p, s in files.values())
                for some in (before, self.homes)
            )
            assert had == has
        if not wanted:
            assert left == newest

    def _keep(self, left: Collection[str]) -> None:
        self.snapshots = {snapshot: found for snapshot, found in self.snapshots.items() if snapshot in left}
        self.homes = {snapshot: found for snapshot, found in self.homes.items() if snapshot in left}

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """One snapshot, unless it has what no other has."""
        snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
        with suppress(NeededSnapshotsError):
            self.world.remove(snapshot)
            self._keep(set(self.snapshots) - {snapshot})
        assert {header.id for header in self.world.archive.snapshots()[0]} == set(self.snapshots)

    @rule(number=numbers)
    def erase(self, number: int) -> None:
        """The files of one row, from every snapshot; no row reads them from the archive."""
        row = self.world.rows().get(number)
        rows = {"photo": f"id = {number}"}
        if row is not None and row["backend"] == "archive" and self._is_archived(number):
            with pytest.raises(ArchivedRowsError):
                forget(self.world.config, "sqlite", rows)
            return
        forget(self.world.config, "sqlite", rows)
        self.held.pop(number, None)
        for some in (self.snapshots, self.homes):
            for found in some.values():
                found.pop(number, None)
        for snapshot in self.snapshots:
            header = self.world.archive.find(snapshot)
            self.lacking[snapshot] = {
                (each.path, each.size) for each in self.world.archive.lacking(header) if each.outcome != ERASED
            }

    def _is_archived(self, number: int) -> bool:
        """Whether any snapshot, or push that moved rows, knows the row."""
        archive = self.world.archive
        headers = archive.snapshots()[0]
        entries = [*(archive.entries(header.id) for header in headers), *(found for _, found in archive.moved())]
        keys = [each.key for found in entries for each in found]
        keys += [each.key for header in headers for each in archive.lacking(header)]
        return {"id": number} in keys

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data(), overwrite=st.booleans(), fills=st.booleans())
    def restore(self, data: st.DataObject, overwrite: bool, fills: bool) -> None:
        snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
        before = self.readable()
        self.world.restore(snapshot, overwrite=overwrite, fill_from_older=fills)
        after, known = self.readable(), self.snapshots[snapshot]
        for number in self.rows:
            if overwrite and number in known and not fills:
                assert after[number] == known[number]
            elif number in before and number not in self.lost and not (overwrite and fills):
                assert after[number] == before[number]
        self.rows.update({number: content for number, content in after.items() if content is not None})
        self.lost = {number for number, content in after.items() if content is None}
        rows = self.world.rows()
        self.held = {n: held for n, held in self.held.items() if n in rows and self.home(rows[n]) == held[0]}

    def readable(self) -> dict[int, bytes | None]:
        """By row, the content that an application finds where it points; None where there is nothing."""
        backends = Backends(self.world.config, "archive")
        found: dict[int, bytes | None] = {}
        for number, row in self.world.rows().items():
            live = backends.get(row["backend"])
            found[number] = b"".join(live.read(row["filename"])) if live.info(row["filename"]) else None
        return found

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "world"):
            return
        for snapshot, expected in self.snapshots.items():
            found = {key[0]: content for (_, key, _), content in self.world.contents(snapshot).items()}
            assert found == expected
        assert self.readable() == {
            number: None if number in self.lost else content for number, content in self.rows.items()
        }

    @invariant()
    def nothing_gets_out_of_reach(self) -> None:
        """What a row points at, and was archived, is in a snapshot, or where the row points."""
        if not hasattr(self, "world"):
            return
        readable = self.readable()
        for number, (path, content) in self.held.items():
            in_archive = any(
                found.get(number) == content and self.homes[snapshot][number][0] == path
                for snapshot, found in self.snapshots.items()
            )
            assert in_archive or readable.get(number) == content


TestSequences = pytest.mark.slow(Sequences.TestCase)
TestSequences.settings = settings(
    max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
