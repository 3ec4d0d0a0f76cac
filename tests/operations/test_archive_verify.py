"""Whatever is lost or damaged in an archive is named, and a push repairs what it can."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from tests.operations.archive_example import Gallery
from toolkit.core.archive_manifest import address_of, new_snapshot_id
from toolkit.errors import StoreError
from toolkit.operations.archive.outcomes import Finding, Outcome
from toolkit.operations.archive.verify import _Verification
from toolkit.stores.zstd import compress, decompress


def outcomes(findings: tuple[Finding, ...]) -> list[tuple[str, object]]:
    return sorted((f.outcome, f.path or f.object) for f in findings)


@pytest.fixture
def pushed(world: Gallery) -> Gallery:
    """Three files in the archive."""
    for number, name in enumerate("abc"):
        world.photo(number, f"{name}.txt", name.encode() * 5000)
    assert world.push().complete
    return world


def key_of(world: Gallery, path: str) -> str:
    (snapshot, *_) = [header.id for header in world.archive.snapshots()[0]]
    return next(entry.address.key for entry in world.archive.entries(snapshot) if entry.path == path)


def test_a_whole_archive_is_ok(pushed: Gallery) -> None:
    for read_data in (False, True):
        result = pushed.verify(read_data=read_data, source="sqlite")
        assert (result.ok, result.objects, result.findings) == (3, 3, ())
    assert len(result.snapshots) == 1


def test_a_missing_object_is_named_with_its_row(pushed: Gallery) -> None:
    key = key_of(pushed, "a.txt")
    pushed.archive.remove([key])
    (finding,) = pushed.verify().findings
    assert (finding.outcome, finding.table, finding.key, finding.path) == (Outcome.MISSING, "photo", {"id": 0}, "a.txt")
    assert finding.object == key


def test_an_object_of_another_size_is_told_without_reading_it(pushed: Gallery) -> None:
    place = pushed.folder / key_of(pushed, "b.txt")
    place.write_bytes(place.read_bytes()[:-1])
    assert outcomes(pushed.verify().findings) == [("size differs", "b.txt")]


def test_a_flipped_bit_is_told_only_by_reading(pushed: Gallery) -> None:
    pushed.spoil(key_of(pushed, "c.txt"))
    assert pushed.verify().whole
    assert outcomes(pushed.verify(read_data=True).findings) == [("corrupt", "c.txt")]


@pytest.mark.parametrize("compress", [False, True])
def test_a_push_repairs_what_was_found_corrupt_and_nothing_else(world: Gallery, compress: bool) -> None:
    for number, name in enumerate("abc"):
        world.photo(number, f"{name}.txt", name.encode() * 5000)
    world.push(compress=compress)
    before = {path: path.stat().st_mtime_ns for path in (world.folder / "objects").rglob("*") if path.is_file()}
    key = key_of(world, "c.txt")
    world.spoil(key)
    unnoticed = world.push()
    assert (unnoticed.sent, unnoticed.repaired) == (0, 0)
    assert not world.verify(read_data=True).whole
    result = world.push(compress=compress)
    assert (result.sent, result.repaired) == (1, 1)
    assert world.verify(read_data=True).whole
    written = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert written >= {world.folder / key}
    assert {str(path.relative_to(world.folder)) for path in written} == {key}
    assert not list(world.archive.damaged())


def test_a_corrupt_object_whose_live_file_is_gone_stays_told(pushed: Gallery) -> None:
    pushed.spoil(key_of(pushed, "c.txt"))
    (pushed.live / "c.txt").unlink()
    assert not pushed.verify(read_data=True).whole
    assert outcomes(pushed.push().findings) == [("dangling row", "c.txt")]
    assert outcomes(pushed.verify(read_data=True).findings) == [("corrupt", "c.txt")]


def test_an_object_that_is_put_back_by_hand_is_ok_again(pushed: Gallery) -> None:
    place = pushed.folder / key_of(pushed, "c.txt")
    content = place.read_bytes()
    pushed.spoil(key_of(pushed, "c.txt"))
    pushed.verify(read_data=True)
    assert list(pushed.archive.damaged())
    place.write_bytes(content)
    assert pushed.verify(read_data=True).whole
    assert not list(pushed.archive.damaged())


def test_a_missing_object_is_sent_again_although_its_file_did_not_change(pushed: Gallery) -> None:
    pushed.archive.remove([key_of(pushed, "a.txt")])
    result = pushed.push()
    assert (result.read, result.sent, result.unchanged) == (1, 1, 2)
    assert pushed.verify(read_data=True).whole


def test_a_truncated_object_is_written_anew(pushed: Gallery) -> None:
    place = pushed.folder / key_of(pushed, "b.txt")
    place.write_bytes(b"")
    assert pushed.push().repaired == 1
    assert pushed.verify(read_data=True).whole


def test_objects_in_no_snapshot_are_orphans(pushed: Gallery) -> None:
    orphan = "objects/" + "ab/" + "ab" * 32
    pushed.archive.store.write(orphan, [b"left behind"])
    (pushed.folder / "objects" / "stray").write_bytes(b"?")
    findings = pushed.verify().findings
    assert outcomes(findings) == [("orphan object", orphan), ("unrecognised object", "objects/stray")]
    assert {f.size for f in findings} == {11, 1}
    assert pushed.verify("latest").whole


def test_a_row_whose_file_is_gone_is_dangling(pushed: Gallery) -> None:
    (pushed.live / "a.txt").unlink()
    assert pushed.verify().whole
    assert outcomes(pushed.verify(source="sqlite").findings) == [("dangling row", "a.txt")]


def test_a_moved_row_whose_object_is_gone_is_dangling(pushed: Gallery) -> None:
    pushed.push(move=True)
    key = key_of(pushed, "a.txt")
    pushed.archive.remove([key])
    assert outcomes(pushed.verify(source="sqlite").findings) == [("dangling row", key), ("missing", "a.txt")]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_manifest_is_told_and_nothing_relies_on_it(pushed: Gallery, damage: str) -> None:
    (place,) = (pushed.folder / "snapshots").iterdir()
    content = bytearray(place.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    place.write_bytes({"cut": content[:-5], "flip": content, "empty": bytearray()}[damage])
    assert "damaged manifest" in {f.outcome for f in pushed.verify().findings}
    snapshot = place.name.removesuffix(".jsonl.zst")
    with pytest.raises(StoreError, match="manifest"):
        pushed.restore(snapshot)
    with pytest.raises(StoreError, match="manifest"):
        pushed.prune(last=1)
    assert len(pushed.objects()) == 3
    assert pushed.push().sent == 0


@pytest.mark.parametrize("folder", ["snapshots", "moved/snapshots"])
def test_objects_that_a_damaged_manifest_may_name_are_no_orphans(pushed: Gallery, folder: str) -> None:
    pushed.push(move=True)
    (place, *_) = (pushed.folder / folder).iterdir()
    for each in (pushed.folder / "snapshots").iterdir():
        if each != place:
            each.unlink()
    place.write_bytes(place.read_bytes()[:-5])
    found = {f.outcome for f in pushed.verify(source="sqlite").findings}
    assert found == {"damaged manifest"} | ({"missing"} if folder == "moved/snapshots" else set())


def test_only_the_named_snapshot_is_looked_at(pushed: Gallery) -> None:
    (first,) = [header.id for header in pushed.archive.snapshots()[0]]
    pushed.photo(9, "new.txt", b"new")
    second = pushed.push().snapshot
    assert second is not None
    pushed.archive.remove(
        [key for key in pushed.objects() if key not in {e.address.key for e in pushed.archive.entries(first)}]
    )
    assert pushed.verify(first).whole
    assert outcomes(pushed.verify(second).findings) == [("missing", "new.txt")]


def test_every_row_of_a_damaged_object_is_named_once_whatever_the_number_of_snapshots(world: Gallery) -> None:
    for number in range(3):
        world.photo(number, f"{number}.txt", b"the same")
    world.push()
    world.push()
    (key,) = world.objects()
    world.spoil(key)
    findings = world.verify(read_data=True).findings
    assert sorted(f.path or "" for f in findings) == ["0.txt", "1.txt", "2.txt"]
    assert address_of(key) is not None


def test_the_rows_are_looked_at_although_a_manifest_is_damaged(pushed: Gallery) -> None:
    pushed.photo(3, "d.txt", b"d")
    assert pushed.push().complete
    (first, _) = sorted((pushed.folder / "snapshots").iterdir())
    content = b"".join(decompress([first.read_bytes()]))
    first.write_bytes(b"".join(compress([content[:-5] + content[-4:]])))
    result = pushed.verify(source="sqlite")
    assert [(each.outcome, each.object) for each in result.findings] == [
        (Outcome.DAMAGED_MANIFEST, first.name.partition(".")[0])
    ]


def test_a_manifest_under_the_name_of_another_is_none(pushed: Gallery) -> None:
    (own,) = (pushed.folder / "snapshots").iterdir()
    own.rename(own.with_name("20200102T030405Z-00000000.jsonl.zst"))
    (finding,) = pushed.verify().findings
    assert "is that of snapshot" in (finding.reason or "")


@pytest.mark.parametrize(
    ("count", "told"),
    [
        ({"files": 4}, "4 files, but names 3"),
        ({"objects": 2, "bytes": 7}, "2 objects, but names 3 and 7 bytes, but names 15,000"),
        ({"erased": 1}, "1 erased files, but names 0"),
    ],
)
def test_a_manifest_that_counts_otherwise_than_it_names_is_told(
    pushed: Gallery, count: dict[str, int], told: str
) -> None:
    ((header,), _) = pushed.archive.snapshots()
    pushed.archive.write_snapshot(replace(header, **count), list(pushed.archive.entries(header.id)))
    result = pushed.verify()
    assert outcomes(result.findings) == [("damaged manifest", header.id)]
    assert result.findings[0].reason == f"the manifest says that it has {told}"


def test_a_size_that_a_manifest_says_of_a_compressed_content_is_held_against_it(world: Gallery) -> None:
    world.photo(1, "a", b"a" * 5000)
    world.push(compress=True)
    ((header,), _) = world.archive.snapshots()
    (entry,) = world.archive.entries(header.id)
    world.archive.write_snapshot(replace(header, bytes=7), [replace(entry, size=7)])
    assert world.verify().whole
    (finding,) = world.verify(read_data=True).findings
    assert (finding.outcome, finding.reason) == (
        Outcome.SIZE_DIFFERS,
        "its content has 5000 bytes, and a manifest says 7",
    )


def test_an_archive_without_a_snapshot_is_not_well(world: Gallery) -> None:
    result = world.verify()
    assert [(each.outcome, each.object) for each in result.findings] == [(Outcome.MISSING, "snapshots/")]
    world.photo(1, "a", b"A")
    world.push()
    assert world.verify().whole


def test_latest_is_no_older_snapshot_in_place_of_one_that_cannot_be_read(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    readable = str(world.push().snapshot)
    # Named by its time, which is the only thing that is known of one that is damaged.
    newer = "29990101T000000Z-00000000"
    manifests = world.folder / "snapshots"
    content = (manifests / f"{readable}.jsonl.zst").read_bytes()
    (manifests / f"{newer}.jsonl.zst").write_bytes(content[:-5])
    for ask in (world.verify, world.restore):
        with pytest.raises(StoreError, match=f"{newer}.*; the latest that can be read is {readable}"):
            ask("latest")
        ask(readable)
    (manifests / f"{newer}.jsonl.zst").rename(manifests / "20000101T000000Z-00000000.jsonl.zst")
    assert world.verify("latest").snapshots == (readable,)
    # One by a clock that was ahead is no newer than what was made after it.
    now = dt.datetime.now(dt.UTC)
    with world.archive_of({"b": b"B"}, at=now + dt.timedelta(days=900)):
        damaged = manifests / f"{new_snapshot_id(now + dt.timedelta(hours=1))}.jsonl.zst"
        (manifests / f"{readable}.jsonl.zst").rename(damaged)
        # Written last: of one that the store has had for longer, that one would be newer.
        damaged.touch()
        with pytest.raises(StoreError, match="the latest that can be read is"):
            world.verify("latest")
    for each in manifests.iterdir():
        if not each.name.startswith("2000"):
            each.unlink()
    with pytest.raises(StoreError, match=r"20000101T000000Z-00000000.*; no other can be read"):
        world.verify("latest")


def test_what_a_prune_takes_during_a_verification_is_not_missing(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    first = str(world.push().snapshot)
    world.run("DELETE FROM photo WHERE id = 1")
    second = world.push().snapshot
    usual = _Verification.read_objects

    def read_objects(self: _Verification) -> None:
        assert world.prune(last=1).removed_objects == 1
        usual(self)

    monkeypatch.setattr(_Verification, "read_objects", read_objects)
    result = world.verify(read_data=True)
    assert (result.findings, result.snapshots) == ((), (second,))
    assert (result.objects, result.bytes, result.ok) == (1, 1, 1)
    assert first not in world.archive.snapshot_ids()
