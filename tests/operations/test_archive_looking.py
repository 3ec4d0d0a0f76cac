"""What an archive holds can be found, compared and read, file by file."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.operations.archive_example import Gallery
from toolkit.core.archive_manifest import Address, snapshot_key
from toolkit.errors import ConfigurationError, DamagedObjectError, UnknownNameError
from toolkit.operations.archive.changes import Change, diff
from toolkit.operations.archive.finding import cat, find
from toolkit.operations.archive.listing import list_snapshots
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.push import push
from toolkit.stores.zstd import compress, decompress


def content(world: Gallery, snapshot: str, file: str) -> bytes:
    return b"".join(cat(world.config, snapshot, file).chunks)


@pytest.fixture
def two(world: Gallery) -> tuple[str, str]:
    """Two snapshots: of four files, one is removed, one changed, one renamed, and one is new."""
    for number, path in enumerate(("same", "gone", "changed", "dir/named")):
        world.photo(number, path, path.encode())
    world.put("a", b"A")
    world.put("b", b"B")
    world.album("me", 1, "a", "b")
    first = str(world.push().snapshot)
    world.run("DELETE FROM photo WHERE id = 1", "DELETE FROM photo WHERE id = 3")
    world.put("changed", b"anew", fresh=True)
    world.photo(3, "dir/renamed", b"dir/named")
    world.photo(4, "added", b"added")
    world.put("b", b"b", fresh=True)
    return first, str(world.push().snapshot)


def test_two_snapshots_are_compared_row_by_row(world: Gallery, two: tuple[str, str]) -> None:
    result = diff(world.config, *two)
    assert [(each.change, each.table, each.key, each.index) for each in result.changes] == [
        (Change.CHANGED, "album", {"owner": "me", "number": 1}, 1),
        (Change.REMOVED, "photo", {"id": 1}, None),
        (Change.CHANGED, "photo", {"id": 2}, None),
        (Change.RENAMED, "photo", {"id": 3}, None),
        (Change.ADDED, "photo", {"id": 4}, None),
    ]
    changed = result.changes[2]
    assert changed.old is not None
    assert changed.new is not None
    assert (changed.old.size, changed.new.size, result.same) == (7, 4, 2)
    back = diff(world.config, "latest", two[0]).changes
    assert [each.change for each in back].count(Change.ADDED) == 1
    assert diff(world.config, two[1], "latest").changes == ()


def test_a_file_is_found_by_name_path_pattern_and_hash_in_every_snapshot(world: Gallery, two: tuple[str, str]) -> None:
    def found(text: str) -> list[tuple[str, str]]:
        return [(each.snapshot, each.path) for each in find(world.config, text).files]

    assert found("named") == found("dir/named") == found("attachments:dir/named") == [(two[0], "dir/named")]
    assert found("dir/*") == [(two[0], "dir/named"), (two[1], "dir/renamed")]
    digest = find(world.config, "named").files[0].sha256
    assert found(digest[:6].upper()) == [(two[0], "dir/named"), (two[1], "dir/renamed")]
    assert found(digest[:5]) == found("nowhere") == []


def test_one_file_of_a_snapshot_is_read_also_when_its_row_is_gone(world: Gallery, two: tuple[str, str]) -> None:
    digest = find(world.config, "gone").files[0].sha256
    for name in ("gone", "attachments:gone", digest[:8]):
        assert content(world, two[0], name) == b"gone"
    assert content(world, "latest", "changed") == b"anew"
    with pytest.raises(ConfigurationError, match="there is no file 'gone'"):
        content(world, two[1], "gone")


def test_a_name_that_several_files_have_is_refused_with_their_places(world: Gallery) -> None:
    world.photo(1, "a/x", b"1")
    world.photo(2, "b/x", b"2")
    world.photo(3, "x", b"3")
    world.photo(4, "c/y", b"4")
    world.photo(5, "d/y", b"5")
    world.photo(6, "e/z", b"6")
    world.photo(7, "f/z", b"6")
    world.push()
    # The path is more exact than the name.
    assert content(world, "latest", "x") == b"3"
    assert content(world, "latest", "z") == b"6"
    with pytest.raises(ConfigurationError) as error:
        content(world, "latest", "y")
    assert "attachments:c/y" in error.value.advice
    assert "attachments:d/y" in error.value.advice


def test_a_damaged_file_is_told_when_it_is_read(world: Gallery) -> None:
    world.photo(1, "a", b"A" * 100)
    world.push()
    world.spoil(Address(find(world.config, "a").files[0].sha256).key)
    with pytest.raises(DamagedObjectError):
        content(world, "latest", "a")


def test_the_list_of_one_database_has_no_others(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    own = str(world.push().snapshot)
    header = world.archive.find(own)
    other = replace_database(world, own, "other")
    assert [each.id for each in list_snapshots(world.config, of="other").snapshots] == [other]
    assert [each.id for each in list_snapshots(world.config, of=header.database).snapshots] == [own]
    assert {each.snapshot for each in find(world.config, "a", of="other").files} == {other}
    with pytest.raises(UnknownNameError, match="no snapshot of 'nobody'"):
        list_snapshots(world.config, of="nobody")


def replace_database(world: Gallery, snapshot: str, name: str) -> str:
    """The same snapshot, as if another database had made it."""
    header = world.archive.find(snapshot)
    other = structs.replace(header, database=name, id=f"{header.id[:-8]}{'0' * 8}")
    world.archive.write_snapshot(other, list(world.archive.entries(snapshot)))
    return other.id


def test_a_push_leaves_out_excluded_tables_and_its_snapshot_is_one_of_the_others(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.put("b", b"B")
    world.album("me", 1, "b")
    result = push(world.config, "sqlite", exclude=["album"])
    assert [(each.table, each.files) for each in result.columns] == [("photo", 1)]
    assert world.archive.find("latest").scope.tables == ("photo",)
    with pytest.raises(UnknownNameError):
        push(world.config, "sqlite", exclude=["fotos"])
    with pytest.raises(ConfigurationError):
        push(world.config, "sqlite", ["album"], exclude=["album"])


def test_a_manifest_that_turns_out_to_be_damaged_hides_no_other(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    damaged = str(world.push().snapshot)
    (world.live / "b").unlink()
    whole = str(world.push().snapshot)
    place = world.folder / snapshot_key(damaged)
    # Its header is whole: what is wrong is found at its end alone.
    text = b"".join(decompress([place.read_bytes()]))
    place.write_bytes(b"".join(compress([text.replace(b'"b"', b'"c"')])))
    found = find(world.config, "a")
    assert [each.snapshot for each in found.files] == [whole]
    assert [(each.outcome, each.object) for each in found.findings] == [(Outcome.DAMAGED_MANIFEST, damaged)]
    (world.live / "a").unlink()
    restored = world.restore(whole)
    assert restored.written == 1
    assert [str(each.reason).rpartition("; ")[2] for each in restored.findings] == [
        "no other snapshot that can be read has it"
    ]
