"""A restore, or the application, points rows at live files that a push with --move removes: one of both tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.operations.archive_example import Gallery
from toolkit.operations.archive.moving import Mover
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.restore_writing import RestoreWriting


def test_a_row_that_is_pointed_at_a_file_while_it_is_moved_is_told_by_the_push(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    remove = Mover._remove_file

    def meeting(self: Mover, backend: str, path: str, size: int, sha: str) -> Any:
        if path == "a":
            assert world.restore(only={"photo": "id = 1"}).complete
        return remove(self, backend, path, size, sha)

    monkeypatch.setattr(Mover, "_remove_file", meeting)
    result = world.push(move=True)
    assert (result.removed, [(each.outcome, each.path) for each in result.findings]) == (2, [(Outcome.DANGLING, "a")])
    monkeypatch.undo()
    assert world.restore(only={"photo": "id = 1"}).complete
    assert (world.live_files(), world.audit().clean) == ({"a": b"A"}, True)


def test_a_file_that_is_removed_before_its_row_is_pointed_at_it_is_told_by_the_restore(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", b"A")
    world.push(move=True)
    swap = RestoreWriting._swap

    def meeting(self: RestoreWriting, table: str, column: str, changes: Sequence[tuple[str, str | None, str]]) -> None:
        assert world.push(move=True).removed == 1
        swap(self, table, column, changes)

    monkeypatch.setattr(RestoreWriting, "_swap", meeting)
    result = world.restore()
    assert ([(each.outcome, each.path) for each in result.findings], result.complete) == (
        [(Outcome.DANGLING, "a")],
        False,
    )
