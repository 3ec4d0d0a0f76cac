"""A store that says that it removed something, and did not: no verb tells that it is gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import pytest

from tests.operations.archive_example import Gallery
from toolkit.errors import NotRemovedError
from toolkit.operations.archive.erasing import forget
from toolkit.operations.archive.orphans import remove_orphans
from toolkit.operations.archive.outcomes import Outcome
from toolkit.stores.client import ObjectStoreClient


@pytest.fixture
def world(world: Gallery) -> Gallery:
    """Two snapshots, of which the first has a file of its own."""
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    world.push()
    world.put("a", b"Z", fresh=True)
    world.push()
    return world


def keeping(monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Let stores keep what they are to remove from a folder."""
    delete = ObjectStoreClient.delete

    def acknowledged(self: ObjectStoreClient, keys: Iterable[str]) -> None:
        delete(self, [key for key in keys if not key.startswith(folder)])

    monkeypatch.setattr(ObjectStoreClient, "delete", acknowledged)


@pytest.mark.parametrize(("folder", "manifests"), [("snapshots/", 2), ("objects/", 1)])
def test_a_prune_tells_what_is_there_still_and_the_next_one_removes_it(
    world: Gallery, folder: str, manifests: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        keeping(patch, folder)
        with pytest.raises(NotRemovedError, match=f"'{folder}.*said that it was removed, and it is still there"):
            world.prune(last=1)
    # What a manifest that stayed names stayed, too.
    assert (len(list(world.archive.snapshot_ids())), len(world.objects())) == (manifests, 3)
    assert [each.outcome for each in world.verify().findings] == [Outcome.ORPHAN] * (manifests == 1)
    world.prune(last=1)
    assert (world.verify().whole, len(world.objects())) == (True, 2)


@pytest.mark.parametrize("few", [False, True])
def test_an_erasure_is_not_told_as_done_while_the_content_is_there(
    world: Gallery, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    # Whether they are listed or asked for singly.
    monkeypatch.setattr("toolkit.operations.archive.pruning.LISTED_FOR_ONE", 0 if few else 80)
    with pytest.MonkeyPatch.context() as patch:
        keeping(patch, "objects/")
        with pytest.raises(NotRemovedError, match="and so are 1 more") as told:
            forget(world.config, "sqlite", {"photo": ("id = 1",)})
    assert told.value.left == 2
    forget(world.config, "sqlite", {"photo": ("id = 1",)})
    assert len(world.objects()) == 1


def test_an_orphan_that_is_there_still_is_not_told_as_removed(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("orphan", b"x")
    keeping(monkeypatch, "orphan")
    result = remove_orphans(world.config, "sqlite", store="archive", older_than=dt.timedelta(days=1), dry_run=False)
    assert (result.removed, [each.outcome for each in result.findings]) == ((), [Outcome.UNWRITABLE])


def test_a_file_that_is_live_still_is_not_told_as_moved(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping(monkeypatch, "b")
    result = world.push(move=True)
    assert (result.removed, [(each.outcome, each.path) for each in result.findings]) == (1, [(Outcome.UNWRITABLE, "b")])
