"""Files come back from the archive, exactly, and rows that lost them are repaired."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import ENGINES
from tests.operations.archive_example import Gallery, gallery, reference
from tests.operations.outcomes import files_in
from toolkit.config import Config, Store
from toolkit.errors import ConditionError, DamagedObjectError, UnknownNameError
from toolkit.operations.archive.finding import cat
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.restore_writing import RestoreWriting
from toolkit.stores.zstd import compress

EVERY_ENGINE = pytest.mark.parametrize("engine", ENGINES)


@EVERY_ENGINE
def test_a_lost_live_store_comes_back_and_rows_stay_as_they_are(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A" * 1000)
    world.photo(2, "b/c.jpg", b"B" * 10)
    world.put("x", b"X")
    world.album("me", 7, "x", "a.jpg")
    before, stamps = world.rows(), world.stamps()
    world.push()
    shutil.rmtree(world.live)
    result = world.restore()
    assert (result.files, result.written, result.repairs, result.findings) == (3, 3, (), ())
    assert (world.live / "b/c.jpg").read_bytes() == b"B" * 10
    assert (world.rows(), world.stamps()) == (before, stamps)
    again = world.restore()
    assert (again.written, again.same) == (0, 3)


@pytest.mark.slow
@EVERY_ENGINE
def test_moved_rows_get_their_reference_back_to_the_letter(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A" * 1000, metadata={"pages": 17})
    world.put("x", b"X")
    world.put("y", b"Y")
    world.album("me", 7, "x", "y")
    photos, albums, stamps = world.rows(), world.rows("album", "files"), world.stamps()
    world.push(move=True)
    assert world.rows() != photos
    result = world.restore(dry_run=True)
    assert (result.written, len(result.repairs), result.dry_run) == (3, 2, True)
    assert not world.live_files()
    done = world.restore()
    assert done.repairs == result.repairs
    assert (world.rows(), world.rows("album", "files"), world.stamps()) == (photos, albums, stamps)
    assert world.live_files() == {"a.jpg": b"A" * 1000, "x": b"X", "y": b"Y"}


def test_a_list_that_names_a_file_twice_does_so_again(world: Gallery) -> None:
    world.put("x", b"X")
    world.album("me", 7, "x", "x")
    before = world.rows("album", "files")
    world.push(move=True)
    assert world.restore().complete
    assert world.rows("album", "files") == before
    world.run("UPDATE album SET files = '[]'")
    assert world.restore().complete
    assert world.rows("album", "files") == before


@EVERY_ENGINE
def test_an_emptied_column_is_filled_again(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    world.photo(1, "a.jpg", b"A")
    world.photo(2, "b.jpg", b"B")
    before = world.rows()
    world.push()
    world.run("UPDATE photo SET file = NULL WHERE id = 1")
    result = world.restore()
    assert [repair.key for repair in result.repairs] == [{"id": 1}]
    assert world.rows() == before


def test_the_latest_snapshot_is_the_latest_of_that_database_if_it_has_any(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A")
    own = world.push().snapshot
    with world.archive_of({"b.jpg": b"B"}, database="staging"):
        result = world.restore()
        assert (result.snapshot, result.database) == (own, "sqlite")
        world.archive.remove_snapshots([result.snapshot])
        assert world.restore(dry_run=True).database == "staging"


def test_a_row_that_points_at_another_file_is_kept_and_told(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A")
    world.push()
    world.put("new.jpg", b"N")
    new = json.dumps(reference("new.jpg", b"N"))
    world.run(f"UPDATE photo SET file = '{new}' WHERE id = 1")
    (world.live / "a.jpg").unlink()
    result = world.restore()
    assert ([f.outcome for f in result.findings], result.written) == (["row points elsewhere"], 0)
    assert world.rows()[1]["filename"] == "new.jpg"
    forced = world.restore(overwrite=True)
    assert (len(forced.repairs), forced.written) == (1, 1)
    assert world.rows()[1]["filename"] == "a.jpg"
    assert world.live_files() == {"a.jpg": b"A", "new.jpg": b"N"}


def test_a_row_whose_new_file_is_gone_has_lost_its_reference(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A")
    world.push()
    world.run(f"UPDATE photo SET file = '{json.dumps(reference('gone.jpg', b'N'))}' WHERE id = 1")
    assert len(world.restore().repairs) == 1
    assert world.rows()[1]["filename"] == "a.jpg"


def test_a_file_with_other_content_is_kept_and_told_unless_it_is_to_be_overwritten(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A")
    world.push()
    world.put("a.jpg", b"changed")
    result = world.restore()
    assert ([f.outcome for f in result.findings], result.other) == (["other content kept"], 1)
    assert world.live_files() == {"a.jpg": b"changed"}
    assert world.restore(overwrite=True).written == 1
    assert world.live_files() == {"a.jpg": b"A"}


def test_deleted_rows_are_told_and_their_files_left_unless_asked_for(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A")
    world.photo(2, "b.jpg", b"B")
    world.push()
    shutil.rmtree(world.live)
    world.run("DELETE FROM photo WHERE id = 1")
    result = world.restore()
    assert [(f.outcome, f.key) for f in result.findings] == [("row gone", {"id": 1})]
    assert world.live_files() == {"b.jpg": b"B"}
    assert list(world.rows()) == [2]
    world.restore(rowless=True)
    assert world.live_files() == {"a.jpg": b"A", "b.jpg": b"B"}


@EVERY_ENGINE
def test_only_rows_that_meet_a_condition_are_restored(config: Config, engine: str) -> None:
    world = gallery(config, engine)
    for number in range(4):
        world.photo(number, f"{number}.jpg", b"%d" % number)
    world.push()
    shutil.rmtree(world.live)
    result = world.restore(only={"photo": "id > 1"})
    assert (result.files, result.findings) == (2, ())
    assert set(world.live_files()) == {"2.jpg", "3.jpg"}


@pytest.mark.parametrize(
    ("engine", "condition"), [*((engine, "id = 2") for engine in ENGINES), ("sqlite", "photo.id BETWEEN 2 AND 3")]
)
def test_rows_that_are_gone_are_found_by_their_keys(
    config: Config, engine: str, tmp_path: Path, condition: str
) -> None:
    world = gallery(config, engine)
    for number in (1, 2, 4):
        world.photo(number, f"{number}.jpg", b"%d" % number)
    world.push()
    world.run("DELETE FROM photo WHERE id < 3")
    shutil.rmtree(world.live)
    only = {"photo": condition}
    assert world.restore(only=only, directory=tmp_path / "out").written == 1
    told = world.restore(only=only)
    assert (told.written, [(f.outcome, f.key) for f in told.findings]) == (0, [(Outcome.ROW_GONE, {"id": 2})])
    assert world.restore(only=only, rowless=True).written == 1
    assert world.live_files() == {"2.jpg": b"2"}


@EVERY_ENGINE
def test_keys_of_several_columns_are_found_when_their_rows_are_gone(
    config: Config, engine: str, tmp_path: Path
) -> None:
    world = gallery(config, engine)
    for number, owner in enumerate(("O'Hara", "me", "me")):
        world.put(f"{number}", b"%d" % number)
        world.album(owner, number, f"{number}")
    world.push()
    world.run("DELETE FROM album")
    only = {"album": "owner = 'me' AND number > 1"}
    assert world.restore(only=only, directory=tmp_path / "out").written == 1
    only = {"album": "owner = 'O''Hara'"}
    assert world.restore(only=only, directory=tmp_path / "out").written == 1


@pytest.mark.parametrize("condition", ["title = 'x'", "\"title\" <> 'x'", "id IN (SELECT id FROM photo)", "id = 1 ="])
def test_of_a_row_that_is_gone_no_more_than_its_key_is_taken(world: Gallery, tmp_path: Path, condition: str) -> None:
    world.photo(1, "a.jpg", b"A")
    world.push()
    world.run("DELETE FROM photo")
    if condition.endswith("="):
        with pytest.raises(ConditionError):
            world.restore(only={"photo": condition}, directory=tmp_path / "out")
        return
    result = world.restore(only={"photo": condition}, directory=tmp_path / "out")
    (told,) = result.findings
    assert (result.written, told.outcome) == (0, Outcome.ROW_GONE)
    assert "of rows that are gone the key alone is known" in str(told.reason)


def test_a_condition_that_finds_nothing_is_told(world: Gallery, tmp_path: Path) -> None:
    world.photo(1, "a.jpg", b"A")
    world.push()
    world.run("DELETE FROM photo")
    for options in ({"rowless": True}, {"directory": tmp_path / "out"}):
        result = world.restore(only={"photo": "id = 2"}, **options)
        assert [(f.outcome, f.table) for f in result.findings] == [(Outcome.ROW_GONE, "photo")]


def test_files_go_to_another_backend_and_rows_that_lost_theirs_follow(alone: Config) -> None:
    world = gallery(alone, "sqlite", other=".toolkit/other")
    world.photo(1, "a.jpg", b"A")
    world.photo(2, "b.jpg", b"B")
    world.push()
    (world.live / "a.jpg").unlink()
    result = world.restore(backend="other")
    assert (result.written, len(result.repairs)) == (2, 1)
    rows = world.rows()
    assert (rows[1]["backend"], rows[1]["filename"]) == ("other", "a.jpg")
    assert rows[2]["backend"] == "attachments"


@pytest.fixture
def twins(alone: Config) -> Gallery:
    """Files of one name in two backends, archived and then lost; and a third store, and a fourth."""
    world = gallery(alone, "sqlite", pages=".toolkit/pages", new=".toolkit/new", newer=".toolkit/new/er")
    world.photo(1, "1.pdf", b"the cover")
    world.photo(2, "1.pdf", None, backend="pages")
    world.photo(3, "2.pdf", None, backend="pages")
    pages = alone.root / ".toolkit/pages"
    pages.mkdir()
    (pages / "1.pdf").write_bytes(b"page one.")
    (pages / "2.pdf").write_bytes(b"page two.")
    world.push()
    shutil.rmtree(world.live)
    shutil.rmtree(pages)
    return world


def test_no_row_is_pointed_at_a_file_of_another_one_of_the_same_name(twins: Gallery) -> None:
    before = twins.rows()
    plan = twins.restore(backend="new", dry_run=True)
    assert [repair.key for repair in plan.repairs] == [{"id": 3}]
    result = twins.restore(backend="new")
    assert result.repairs == plan.repairs
    assert [(f.outcome, f.key["id"]) for f in result.findings] == [(Outcome.COLLIDES, 1), (Outcome.COLLIDES, 2)]
    rows = twins.rows()
    assert (rows[1], rows[2], rows[3]["backend"]) == (before[1], before[2], "new")
    assert files_in(twins.config.root / ".toolkit/new") == {"2.pdf": b"page two."}


def test_each_backend_may_be_restored_to_one_of_its_own(twins: Gallery) -> None:
    assert twins.restore(backend={"pages": "newer", "": "new"}).complete
    assert [row["backend"] for row in twins.rows().values()] == ["new", "newer", "newer"]
    found = files_in(twins.config.root / ".toolkit/new")
    assert found == {"1.pdf": b"the cover", "er/1.pdf": b"page one.", "er/2.pdf": b"page two."}
    with pytest.raises(UnknownNameError, match="page"):
        twins.restore(backend={"page": "newer"})


@pytest.mark.parametrize("live", [b"newer", None])
def test_a_name_that_was_used_again_after_a_move_stays_the_new_row_s(world: Gallery, live: bytes | None) -> None:
    world.photo(1, "a", b"old")
    world.push(move=True)
    moved = world.rows()[1]
    world.photo(2, "a", b"newer")
    world.push()
    if live is None:
        (world.live / "a").unlink()
    for overwrite in (False, True):
        result = world.restore(overwrite=overwrite)
        assert [(f.outcome, f.key["id"]) for f in result.findings] == [(Outcome.COLLIDES, 1)]
        assert (world.rows()[1], world.live_files()) == (moved, {"a": b"newer"})


def test_no_file_is_overwritten_that_another_row_points_at(twins: Gallery) -> None:
    assert twins.restore(backend="new", only={"photo": "id = 1"}).complete
    for overwrite in (False, True):
        result = twins.restore(backend="new", only={"photo": "id = 2"}, overwrite=overwrite)
        assert ([f.outcome for f in result.findings], result.repairs) == ([Outcome.KEPT], ())
    assert "another row points at" in str(result.findings[0].reason)
    assert files_in(twins.config.root / ".toolkit/new") == {"1.pdf": b"the cover"}
    # That of the row itself may be.
    (twins.config.root / ".toolkit/new/1.pdf").write_bytes(b"spoilt")
    assert twins.restore(backend="new", only={"photo": "id = 1"}, overwrite=True).written == 1
    assert files_in(twins.config.root / ".toolkit/new") == {"1.pdf": b"the cover"}


def test_a_row_that_points_at_a_store_that_cannot_be_asked_has_lost_nothing(alone: Config) -> None:
    world = gallery(alone, "sqlite", far="s3://far")
    world.photo(1, "a.jpg", b"A")
    world.push()
    far = Store(
        "far",
        "s3://far",
        options={
            "endpoint": "http://127.0.0.1:9",
            "allow_http": True,
            "retries": 0,
            "access_key_id": "a",
            "secret_access_key": "b",
        },
    )
    world.config = replace(world.config, stores={**world.config.stores, "far": far})
    for backend in ("far", "nobody"):
        world.run(f"UPDATE photo SET file = '{json.dumps(reference('b.jpg', b'N', backend))}'")
        assert [f.outcome for f in world.restore().findings] == [Outcome.ELSEWHERE]
        assert world.rows()[1]["backend"] == backend


def test_a_row_whose_file_could_not_be_restored_is_not_changed(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A" * 100)
    world.photo(2, "b.jpg", b"B" * 100)
    world.push(move=True)
    moved = world.rows()
    world.spoil(moved[1]["filename"])
    result = world.restore()
    assert [f.outcome for f in result.findings] == ["corrupt"]
    assert world.rows()[1] == moved[1]
    assert world.rows()[2]["filename"] == "b.jpg"
    assert world.live_files() == {"b.jpg": b"B" * 100}


def test_an_object_that_cannot_be_read_is_told_apart_from_a_file_that_cannot_be_written(world: Gallery) -> None:
    world.photo(1, "a.jpg", b"A" * 100)
    world.photo(2, "b.jpg", b"B" * 100)
    world.push(move=True)
    place = world.folder / world.rows()[1]["filename"]
    place.unlink()
    place.symlink_to(place.name)
    (world.live / "b.jpg").mkdir()
    found = {finding.path: finding.outcome for finding in world.restore().findings}
    assert found == {"a.jpg": Outcome.UNREADABLE, "b.jpg": Outcome.UNWRITABLE}


HOSTILE = [
    "a b.txt",
    "#7",
    "x#7",
    "ä-nfc",
    "a\u0308-nfd",
    "percent%20sign%",
    "日本語",
    "n" * 200,
    "quote\"'`",
    "🐟.jpg",
    "con",
    "dot.",
    "e" * 100 + "/" + "f" * 100,
    "CASE",
    "case",
    "snapshots/x",
    "objects/ab/cd",
]


def test_files_of_any_name_are_archived_and_come_back_exactly(world: Gallery, tmp_path: Path) -> None:
    for number, path in enumerate(HOSTILE):
        world.photo(number, path, f"content of {path}".encode())
    pushed = world.push()
    unreadable = {f.path for f in pushed.findings}
    assert unreadable <= {"#7", "x#7"}  # No store of Rust's object_store library takes these in a directory.
    shutil.rmtree(world.live)
    result = world.restore()
    assert result.written == len(HOSTILE) - len(unreadable)
    assert {path: content.decode() for path, content in world.live_files().items()} == {
        path: f"content of {path}" for path in HOSTILE if path not in unreadable
    }


def _to_directory(world: Gallery, folder: Path) -> dict[str, bytes]:
    """By original path, the content of what was restored to a directory."""
    result = world.restore(directory=folder)
    assert result.mapping is not None
    lines = [json.loads(line) for line in Path(result.mapping).read_text().splitlines()]
    assert all((folder / line["restored_to"]).resolve().is_relative_to(folder.resolve()) for line in lines)
    return {line["path"]: (folder / line["restored_to"]).read_bytes() for line in lines}


def test_a_restore_to_a_directory_stays_in_it_whatever_the_names_are(world: Gallery, tmp_path: Path) -> None:
    evil = [
        "../../escape",
        "/etc/escape",
        "a/../../../b",
        "nul\0l",
        "back\\slash",
        "x" * 300,
        "",
        "a//b",
        "con",
        "./x",
        "trailing ",
        "new\nline",
        "\u202egpj.exe",
        *HOSTILE,
    ]
    with world.archive_of({path: f"content of {path}".encode() for path in evil}):
        found = _to_directory(world, tmp_path / "out")
    assert found == {path: f"content of {path}".encode() for path in evil}
    assert {path.name for path in tmp_path.iterdir()} >= {"out"}
    assert not list(tmp_path.parent.glob("escape"))


def test_a_restore_to_a_directory_follows_no_link_in_it(world: Gallery, tmp_path: Path) -> None:
    world.photo(1, "deep/a.jpg", b"A")
    world.photo(2, "b.jpg", b"B")
    world.push()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"victim")
    folder = tmp_path / "out" / "attachments"
    folder.mkdir(parents=True)
    (folder / "deep").symlink_to(outside)
    (folder / "b.jpg").symlink_to(outside / "victim")
    result = world.restore(directory=tmp_path / "out", overwrite=True)
    assert sorted(f.outcome for f in result.findings) == ["unwritable", "unwritable"]
    assert " 'attachments/b.jpg' " in result.findings[0].place + result.findings[1].place
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"victim": b"victim"}


def test_a_second_restore_to_a_directory_keeps_what_was_changed_there(world: Gallery, tmp_path: Path) -> None:
    world.photo(1, "a.jpg", b"A")
    world.photo(2, "b.jpg", b"B")
    world.push()
    world.restore(directory=tmp_path / "out")
    (tmp_path / "out/attachments/a.jpg").write_bytes(b"mine")
    result = world.restore(directory=tmp_path / "out")
    assert (result.written, result.same, result.other) == (0, 1, 1)
    assert (tmp_path / "out/attachments/a.jpg").read_bytes() == b"mine"


def test_names_that_a_file_system_takes_for_one_do_not_overwrite_each_other(world: Gallery, tmp_path: Path) -> None:
    paths = ["Name", "name", "NAME/below", "name/x", "é", "e\u0301"]
    with world.archive_of({path: path.encode() for path in paths}):
        found = _to_directory(world, tmp_path / "out")
    assert found == {path: path.encode() for path in paths}
    names = [str(path.relative_to(tmp_path / "out")).casefold() for path in (tmp_path / "out").rglob("*")]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_came_since_the_places_were_looked_at_stays(
    world: Gallery, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    for number in range(3):
        world.photo(number, f"{number}", b"archived %d" % number)
    world.push()
    shutil.rmtree(world.live)
    world.put("0", b"other")
    usual = RestoreWriting.write

    def write(self: RestoreWriting) -> None:
        world.put("1", b"of the application")
        world.put("2", b"archived 2")
        usual(self)

    monkeypatch.setattr(RestoreWriting, "write", write)
    result = world.restore(overwrite=overwrite)
    assert (result.written, result.same, result.other) == (overwrite, 1, 2 - overwrite)
    assert [each.path for each in result.findings if each.outcome is Outcome.KEPT] == ["0", "1"][overwrite:]
    first = b"archived 0" if overwrite else b"other"
    assert world.live_files() == {"0": first, "1": b"of the application", "2": b"archived 2"}


def test_of_an_object_that_is_longer_than_its_manifest_says_no_more_is_written(world: Gallery, tmp_path: Path) -> None:
    world.photo(1, "a", b"A" * 50_000)
    world.push(compress=True)
    ((key, _),) = world.objects().items()
    assert key.endswith(".zst")
    # Some hundred bytes there, any amount of space here.
    (world.folder / key).write_bytes(b"".join(compress([bytes(1 << 20)] * 20)))
    result = world.restore(directory=tmp_path / "out")
    assert [each.outcome for each in result.findings] == [Outcome.CORRUPT]
    assert "longer than the 50000 bytes that a manifest says" in str(result.findings[0].reason)
    taken: list[bytes] = []
    with pytest.raises(DamagedObjectError):
        taken.extend(cat(world.config, "latest", "a").chunks)
    assert sum(map(len, taken)) <= 50_000
