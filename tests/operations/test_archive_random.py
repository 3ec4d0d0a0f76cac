"""Whatever is pushed, changed, moved, pruned and restored in whatever order: no kept snapshot loses anything."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.operations.archive_example import Gallery, gallery
from toolkit.config import load_config
from toolkit.operations.archive.backends import Backends

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

    def _push(self, **options: Any) -> None:
        stale = self.stale()
        result = self.world.push(**options)
        expected = {number: content for number, content in self.rows.items() if number not in self.lost}
        assert (result.snapshot is None) == (not expected)
        assert len(result.findings) == len(self.lost & set(self.rows)) + len(stale)
        if result.snapshot is not None:
            self.snapshots[result.snapshot] = expected
            self.homes[result.snapshot] = {
                e.key["id"]: (e.path, e.size) for e in self.world.archive.entries(result.snapshot)
            }
            self.lacking[result.snapshot] = {
                (e.path, e.size) for e in self.world.archive.lacking(self.world.archive.find(result.snapshot))
            }

    @precondition(lambda self: self.snapshots)
    @rule(last=st.integers(1, 3), moved=st.booleans())
    def prune(self, last: int, moved: bool) -> None:
        before = self.homes
        self.world.prune(last=last, source="sqlite" if moved else None)
        left = [header.id for header in self.world.archive.snapshots()[0]]
        newest = list(self.snapshots)[-last:]
        assert set(left) >= set(newest)
        self.snapshots = {snapshot: self.snapshots[snapshot] for snapshot in left}
        self.homes = {snapshot: before[snapshot] for snapshot in left}
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

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data(), overwrite=st.booleans())
    def restore(self, data: st.DataObject, overwrite: bool) -> None:
        snapshot = data.draw(st.sampled_from(sorted(self.snapshots)))
        before = self.readable()
        self.world.restore(snapshot, overwrite=overwrite)
        after, known = self.readable(), self.snapshots[snapshot]
        for number in self.rows:
            if overwrite and number in known:
                assert after[number] == known[number]
            elif number in before and number not in self.lost:
                assert after[number] == before[number]
        self.rows.update({number: content for number, content in after.items() if content is not None})
        self.lost = {number for number, content in after.items() if content is None}

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


TestSequences = Sequences.TestCase
TestSequences.settings = settings(
    max_examples=20, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
