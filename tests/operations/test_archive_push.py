"""Files that rows point at come into the archive, once each, and the manifest says what was seen."""

from __future__ import annotations

import pytest

from tests.conftest import ENGINES
from tests.operations.archive_example import gallery
from toolkit.config import Config

EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES)


@EVERY_ENGINE
def test_every_file_is_archived_once_and_the_snapshot_says_whose(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A" * 1000)
    world.photo(2, "dir/same content.jpg", b"A" * 1000)
    world.photo(3, None)
    world.put("x", b"X")
    world.album("me", 7, "x", "a.jpg")
    result = world.push()
    assert (result.files, result.objects, result.sent, result.findings) == (4, 3, 2, ())
    assert len(world.objects()) == 2
    assert result.snapshot is not None
    assert world.contents(result.snapshot) == {
        ("album", ("me", 7), 0): b"X", ("album", ("me", 7), 1): b"A" * 1000,
        ("photo", (1,), None): b"A" * 1000, ("photo", (2,), None): b"A" * 1000,
    }
    again = world.push()
    assert (again.read, again.sent, again.unchanged) == (0, 0, 3)


@EVERY_ENGINE
def test_a_move_points_rows_at_the_archive_and_removes_live_files(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A" * 1000, metadata={"exact": 1})
    world.photo(2, "b.jpg", b"B")
    world.put("x", b"X")
    world.album("me", 7, "x", "gone")
    stamps = world.stamps()
    result = world.push(move=True)
    assert (result.moved, result.removed) == (3, 3)
    assert [f.outcome for f in result.findings] == ["dangling row"]
    rows = world.rows()
    assert rows[1]["backend"] == "archive"
    assert rows[1]["filename"] in world.objects()
    assert rows[1]["metadata"] == {"exact": 1, "archived_from": {"backend": "attachments", "filename": "a.jpg"}}
    (moved, kept) = world.rows("album", "files")["me", 7]
    assert (moved["backend"], kept["backend"]) == ("archive", "attachments")
    assert world.stamps() == stamps
    assert not [path for path in world.live.rglob("*") if path.is_file()]
    again = world.push(move=True)
    assert (again.archived, again.moved, again.removed) == (3, 0, 0)
    assert {(e.backend, e.path) for e in world.archive.entries(again.snapshot or "")} == {
        ("attachments", "a.jpg"), ("attachments", "b.jpg"), ("attachments", "x"),
    }
