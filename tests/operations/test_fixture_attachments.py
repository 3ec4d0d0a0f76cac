"""The files that rows point at, in fixtures: dumped by their hash, put back where rows find them."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from advanced_alchemy.types.file_object import storages
from advanced_alchemy.types.file_object.backends.fsspec import FSSpecBackend
from fsspec.implementations.memory import MemoryFileSystem
from msgspec import structs

from tests.operations import databases
from tests.operations.archive_example import Gallery, gallery, reference
from tests.operations.gallery import metadata
from tests.operations.outcomes import files_in
from tests.operations.processes import toolkit
from tests.servers.swift import S3Server
from toolkit.cli import run
from toolkit.cli.render import show_dump
from toolkit.config import Config, load_config
from toolkit.core.fixture_manifest import ATTACHMENTS, MANIFEST
from toolkit.core.plan import FileCopy
from toolkit.errors import (
    CollidingFilesError,
    DamagedObjectError,
    ExistingFilesError,
    ExistingRowsError,
    FixtureError,
    StoreError,
    UnknownNameError,
)
from toolkit.operations.archive.backends import Backends
from toolkit.operations.fixtures.attachments import AttachmentMode, FilePutting
from toolkit.operations.fixtures.closure import Closure
from toolkit.operations.fixtures.dump import DumpResult, dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.transfer.options import Mode, Options
from toolkit.stores.directories import directory_at
from toolkit.stores.fixture_writer import STAGING
from toolkit.testing.seeds import Seed

KILLS = 3


def dumped(world: Gallery, *tables: str, attachments: bool = True, **options: Any) -> DumpResult:
    return dump_data(
        world.config, world.database, tables, directory=world.config.root / "out", attachments=attachments, **options
    )


def out(world: Gallery) -> dict[str, bytes]:
    """Every file of the fixtures."""
    return files_in(world.config.root / "out")


def objects(world: Gallery) -> list[bytes]:
    return sorted(content for name, content in out(world).items() if name.startswith(ATTACHMENTS))


def mapping(world: Gallery) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = json.loads(out(world)[MANIFEST]).get("attachments", {})
    return found


def lost(world: Gallery) -> dict[str, bytes]:
    """Lose all live files and all rows; the files that there were."""
    files = world.live_files()
    for path in files:
        (world.live / path).unlink()
    world.run("DELETE FROM photo", "DELETE FROM album")
    return files


def loaded(world: Gallery, mode: AttachmentMode = AttachmentMode.PUT, *, dry_run: bool = False) -> FileCopy | None:
    return load_data(
        world.config, world.database, directory=world.config.root / "out", attachments=mode, dry_run=dry_run
    ).attachments


def files_of(found: FileCopy | None) -> tuple[int, int, int, int]:
    assert found is not None
    assert found.problems == ()
    return found.files, found.copied, found.bytes, found.there


@pytest.fixture
def kept(world: Gallery) -> Gallery:
    """Two photos of one content, a third, and their fixtures."""
    world.photo(1, "a", b"A")
    world.photo(2, "dir/ä b", b"A")
    world.photo(3, "c", b"CC")
    dumped(world)
    return world


def test_of_a_closure_only_the_files_of_its_rows_are_kept(kept: Gallery, alone: Config) -> None:
    dumped(kept, where={"photo": "id = 3"}, closure=Closure.PARENTS)
    assert objects(kept) == [b"CC"]
    fixtures = Path(__file__).parents[2] / "fixtures"
    todos = f"sqlite:///{alone.root}/todos.sqlite3"
    load_data(alone, todos, directory=fixtures, attachments=AttachmentMode.LEAVE)
    (one, *_) = json.loads((fixtures / "attachment.json").read_bytes())
    where = {"todo": f"hex(id) = '{one['todo_id'].replace('-', '').upper()}'"}
    for closure, files in ((Closure.PARENTS, 0), (Closure.BOTH, 1)):
        found = dump_data(alone, todos, where=where, closure=closure, attachments=True, dry_run=True).attachments
        assert found is not None
        assert found.files == files


@pytest.mark.slow
@pytest.mark.parametrize("source", ["postgres"])
def test_files_come_back_with_the_rows_in_another_database_and_store(config: Config, source: str) -> None:
    world = gallery(config, source)
    world.photo(1, "a/ä b.jpg", b"A" * 1000, content_type="image/jpeg")
    world.photo(2, "same", b"A" * 1000)
    world.photo(3, "empty", b"")
    world.photo(4, None)
    world.put("x", os.urandom(6_000_000))
    world.album("me", 7, "x", "same")
    plan = dumped(world, dry_run=True)
    assert files_of(plan.attachments) == (4, 4, 6_002_000, 0)
    assert not (config.root / "out").exists()
    assert files_of(dumped(world).attachments) == (4, 3, 6_001_000, 1)
    assert {name.removeprefix(ATTACHMENTS) for name in out(world) if name.startswith(ATTACHMENTS)} == {
        hashlib.sha256(content).hexdigest() for content in world.live_files().values()
    }
    other = gallery(config, "duckdb2" if source == "sqlite" else "sqlite2", attachments=".toolkit/other")
    expected = (4, 4, 6_002_000, 0)
    assert files_of(loaded(other, dry_run=True)) == expected
    assert not (config.root / ".toolkit/other").exists()
    assert files_of(loaded(other)) == expected
    folder = config.root / ".toolkit/other"
    assert files_in(folder) == world.live_files()
    assert other.rows() == world.rows()
    assert files_of(loaded(other)) == (4, 0, 0, 4)


@pytest.mark.slow
def test_live_files_and_fixtures_may_both_be_in_s3(alone: Config, s3_server: S3Server) -> None:
    s3_server.create_bucket("attached")
    world = gallery(alone, "sqlite", attachments="s3://attached/live")
    store = replace(world.config.stores["attachments"], options=s3_server.options)
    place = replace(store, name="", address="s3://attached/fixtures")
    world.config = replace(world.config, stores={**world.config.stores, "attachments": store})
    live = Backends(world.config).get("attachments")
    contents = {"a b ü.txt": b"A" * 1000, "empty": b"", "big": os.urandom(300_000)}
    for number, (path, content) in enumerate(contents.items()):
        live.write(path, [content], size=len(content))
        world.photo(number, path)
    fixtures = directory_at(place)
    for there in (0, 3):
        done = dump_data(world.config, "sqlite", directory=place, attachments=True)
        assert files_of(done.attachments)[3] == there
    assert not fixtures.files(STAGING)
    for path in contents:
        live.delete(path)
    done_load = load_data(world.config, "sqlite", directory=place)
    assert files_of(done_load.attachments) == (3, 3, 301_000, 0)
    assert {path: b"".join(live.read(path)) for path in contents} == contents
    world.photos({1: "a b ü.txt"})
    dump_data(world.config, "sqlite", directory=place, attachments=True)
    assert fixtures.files(ATTACHMENTS) == {hashlib.sha256(b"A" * 1000).hexdigest()}
    fixtures.remove(ATTACHMENTS + hashlib.sha256(b"A" * 1000).hexdigest())
    with pytest.raises(FixtureError, match="not in the directory"):
        load_data(world.config, "sqlite", directory=place)


# -- dumps ---------------------------------------------------------------------------------------------------------


def test_a_second_dump_changes_no_byte_and_writes_no_file_again(kept: Gallery) -> None:
    before = out(kept)
    written = {path: path.stat().st_mtime_ns for path in (kept.config.root / "out" / ATTACHMENTS).iterdir()}
    assert files_of(dumped(kept).attachments) == (3, 0, 0, 3)
    assert out(kept) == before
    assert {path: path.stat().st_mtime_ns for path in written} == written


def test_a_dump_without_attachments_says_nothing_of_them_and_keeps_those_that_are_there(world: Gallery) -> None:
    world.photo(1, "a", b"A")
    assert dumped(world, attachments=False).attachments is None
    assert b"attachments" not in out(world)[MANIFEST]
    dumped(world)
    before = out(world)
    dumped(world, attachments=False)
    assert out(world) == before


def test_content_that_no_row_points_at_any_more_goes_and_other_files_stay(kept: Gallery) -> None:
    strange_files = {ATTACHMENTS + "README", ATTACHMENTS + "0" * 63}
    for name in strange_files:
        (kept.config.root / "out" / name).write_bytes(b"mine")
    # As a dump leaves it that was killed.
    (kept.config.root / "out" / ATTACHMENTS / ("0" * 64)).write_bytes(b"left over")
    kept.put("c", b"CCC")
    kept.run("DELETE FROM photo WHERE id < 3")
    dumped(kept)
    assert objects(kept) == sorted([b"CCC", b"mine", b"mine"])
    assert list(mapping(kept)["attachments"]) == ["c"]


def test_a_dump_of_some_tables_keeps_what_the_others_point_at(kept: Gallery) -> None:
    kept.put("x", b"X")
    kept.album("me", 1, "x")
    kept.run("DELETE FROM photo WHERE id = 3")
    dumped(kept, "album")
    assert objects(kept) == [b"A", b"CC", b"X"]
    dumped(kept, "note", attachments=False)
    assert objects(kept) == [b"A", b"CC", b"X"]
    dumped(kept)
    assert objects(kept) == [b"A", b"X"]


def test_a_condition_narrows_the_files_too(kept: Gallery) -> None:
    assert files_of(dumped(kept, where={"photo": "id = 3"}).attachments) == (1, 0, 0, 1)
    assert objects(kept) == [b"CC"]


def test_files_that_are_gone_or_cannot_be_read_are_told_and_the_rest_is_dumped(
    kept: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (kept.live / "c").unlink()
    kept.photo(4, "never")
    kept.photo(5, "../../outside")
    kept.photo(6, "elsewhere", backend="no store")
    kept.row(7, "[1]")
    kept.put("d", b"D")
    kept.photo(8, "d")
    result = dumped(kept).attachments
    assert result is not None
    assert (result.files, result.copied, result.there) == (7, 1, 2)
    assert [problem.partition(": ")[0] for problem in result.problems] == [
        "There is no store 'no store'.",
        f"attachments ({kept.live})",
        "attachments:'c'",
        "attachments:'never'",
        "photo id=7",
    ]
    assert ["stays" in problem for problem in result.problems] == [False, False, True, False, False]
    assert objects(kept) == [b"A", b"CC", b"D"]
    monkeypatch.chdir(kept.config.root)
    database = kept.config.database("sqlite").address
    (kept.config.root / "toolkit.toml").write_text(
        f'metadata = "{kept.config.metadata}"\nmigrations = "none"\n[databases]\nsqlite = "{database}"\n'
    )
    arguments = ["dump-data", "--attachments", "--dir", "out"]
    assert run(arguments) == 3
    shown = capsys.readouterr().out
    assert f"Files: 0 copied to {directory_at('out').name} (0 bytes), 3 there already." in shown
    assert "Not copied: attachments:'never': there is no such file" in shown
    assert run([*arguments, "--json"]) == 3
    assert len(json.loads(capsys.readouterr().out)["attachments"]["problems"]) == 5
    kept.run("DELETE FROM photo WHERE id > 2")
    assert run(arguments) == 0


def test_no_more_than_twenty_files_that_are_gone_are_shown(world: Gallery, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        world.photo(number, f"{number}", None)
    show_dump(dumped(world))
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("Not copied", "…"))]
    assert (len(shown), shown[-1]) == (21, "… and 5 more: --json lists all.")


def test_files_that_rows_were_moved_to_in_an_archive_stay_there_and_are_counted(
    kept: Gallery, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = kept.push(move=True)
    kept.photo(99, "live", b"live")
    result = dumped(kept)
    assert files_of(result.attachments) == (1, 1, 4, 0)
    assert result.attachments is not None
    assert result.attachments.archived == moved.sent > 0
    assert objects(kept) == [b"live"]
    show_dump(result)
    assert f" there already; {moved.sent} in an archive, left there." in capsys.readouterr().out


def test_a_directory_without_room_fails_the_dump_and_leaves_the_old_set(kept: Gallery) -> None:
    before = out(kept)
    kept.put("c", b"changed")
    place = kept.config.root / "out" / STAGING
    place.mkdir()
    # Where the new content would wait for its place.
    (place / hashlib.sha256(b"changed").hexdigest()).mkdir()
    with pytest.raises(StoreError):
        dumped(kept)
    assert out(kept) == before


@pytest.mark.slow
def test_a_dump_killed_at_any_moment_leaves_a_set_that_loads_whole(world: Gallery) -> None:
    root = world.config.root
    (root / "toolkit.toml").write_text(
        f'metadata = "{world.config.metadata}"\nmigrations = "none"\nfixtures = "out"\n'
        f'[databases]\nsqlite = "{world.config.database("sqlite").address}"\n'
    )
    other = gallery(world.config, f"sqlite:///{root}/two.sqlite3", attachments=".toolkit/other")

    def write(round_: int) -> None:
        for number in range(20):
            world.put(str(number), f"{round_} {number}".encode() * 1000)
        world.photos({number: str(number) for number in range(20)})

    write(-1)
    # The first of all processes waits for what the others are forked from.
    assert toolkit(root, "dump-data", "--attachments").end() == 0
    began = time.monotonic()
    assert toolkit(root, "dump-data", "--attachments").end() == 0
    usual = time.monotonic() - began
    moments = random.Random(3)
    for round_ in range(KILLS):
        write(round_)
        running = toolkit(root, "dump-data", "--attachments")
        time.sleep(moments.uniform(0, usual))
        running.process.kill()
        running.end()
        found = loaded(other, AttachmentMode.OVERWRITE)
        assert found is not None
        assert found.files == 20
        contents = {(root / ".toolkit/other" / str(n)).read_bytes().split()[0] for n in range(20)}
        assert len(contents) == 1
    assert toolkit(root, "dump-data", "--attachments").end() == 0
    assert objects(world) == sorted(world.live_files().values())
    assert not (root / "out" / STAGING).exists()


# -- loads ---------------------------------------------------------------------------------------------------------


def test_other_content_under_the_name_of_a_file_refuses_the_load_whole(kept: Gallery) -> None:
    files = lost(kept)
    kept.put("a", b"B")
    kept.put("c", b"longer")
    with pytest.raises(ExistingFilesError, match=r"2 files.*: attachments:'a', attachments:'c'\.") as caught:
        loaded(kept)
    assert caught.value.exit_code == 3
    assert "--overwrite-attachments" in caught.value.advice
    with pytest.raises(ExistingFilesError):
        loaded(kept, dry_run=True)
    assert (kept.live_files(), kept.rows()) == ({"a": b"B", "c": b"longer"}, {})
    assert loaded(kept, AttachmentMode.LEAVE) is None
    assert (kept.live_files(), len(kept.rows())) == ({"a": b"B", "c": b"longer"}, 3)
    assert files_of(loaded(kept, AttachmentMode.OVERWRITE)) == (3, 3, 4, 0)
    assert kept.live_files() == files


@pytest.mark.parametrize("content", [b"M", b"A"])
def test_files_of_two_backends_that_are_one_place_here_refuse_the_load_unless_they_are_the_same(
    alone: Config, content: bytes
) -> None:
    world = gallery(alone, "sqlite", media=".toolkit/media")
    world.photo(1, "a", b"A")
    world.photo(2, "a", backend="media")
    (alone.root / ".toolkit/media").mkdir()
    (alone.root / ".toolkit/media/a").write_bytes(content)
    dumped(world)
    lost(world)
    one = gallery(world.config, "sqlite", media=".toolkit/attachments/")
    if content == b"A":
        assert files_of(loaded(one))[0] == 2
        assert one.live_files() == {"a": b"A"}
        return
    for mode in (AttachmentMode.PUT, AttachmentMode.OVERWRITE):
        with pytest.raises(CollidingFilesError, match="attachments:'a' and media:'a'"):
            loaded(one, mode)
    assert (one.live_files(), one.rows()) == ({}, {})


def test_no_more_than_twenty_files_are_named(world: Gallery) -> None:
    for number in range(25):
        world.photo(number, str(number), b"A")
    dumped(world)
    for number in range(25):
        world.put(str(number), b"B")
    with pytest.raises(ExistingFilesError, match=r"25 files .* and 5 more") as caught:
        loaded(world)
    assert len(caught.value.files) == 20


def test_a_dump_writes_damaged_content_of_the_same_size_anew_as_its_error_advises(kept: Gallery) -> None:
    whole = out(kept)
    place = kept.config.root / "out" / ATTACHMENTS / hashlib.sha256(b"CC").hexdigest()
    place.write_bytes(b"CD")
    assert files_of(dumped(kept).attachments) == (3, 1, 2, 2)
    assert out(kept) == whole


def test_damaged_content_of_a_file_that_is_gone_is_told_not_kept(kept: Gallery) -> None:
    (kept.config.root / "out" / ATTACHMENTS / hashlib.sha256(b"CC").hexdigest()).write_bytes(b"CD")
    (kept.live / "c").unlink()
    result = dumped(kept)
    assert result.attachments is not None
    (problem,) = result.attachments.problems
    assert "there is no such file" in problem
    assert "stays" not in problem
    assert set(mapping(kept)["attachments"]) == {"a", "dir/ä b"}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), "is in the manifest, but not in the directory"),
        (lambda path: path.write_bytes(b"C"), "is damaged: it has 1 bytes of 2"),
        (lambda path: path.write_bytes(b"CD"), "is damaged: its content is not what its name says"),
    ],
    ids=["missing", "cut", "changed"],
)
@pytest.mark.parametrize("mode", [AttachmentMode.PUT, AttachmentMode.OVERWRITE])
def test_damaged_content_is_named_and_nothing_is_written(
    kept: Gallery, damage: object, problem: str, mode: AttachmentMode
) -> None:
    lost(kept)
    assert callable(damage)
    damage(kept.config.root / "out" / ATTACHMENTS / hashlib.sha256(b"CC").hexdigest())
    with pytest.raises(FixtureError, match=problem) as caught:
        loaded(kept, mode)
    assert "'c'" in caught.value.fact
    assert (kept.live_files(), kept.rows()) == ({}, {})
    assert loaded(kept, AttachmentMode.LEAVE) is None
    assert len(kept.rows()) == 3


def test_content_that_is_damaged_while_it_is_written_leaves_no_file_and_no_row(
    kept: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.operations.fixtures import attachments as fixture_attachments

    lost(kept)
    place = kept.config.root / "out" / ATTACHMENTS / hashlib.sha256(b"CC").hexdigest()
    usual = fixture_attachments.FilePutting.put

    def damaged(putting: fixture_attachments.FilePutting) -> None:
        place.write_bytes(b"CD")
        usual(putting)

    monkeypatch.setattr(fixture_attachments.FilePutting, "put", damaged)
    with pytest.raises(FixtureError, match="is damaged"):
        loaded(kept)
    assert "c" not in kept.live_files()
    assert kept.rows() == {}


def test_a_store_that_keeps_other_than_it_was_given_is_found_out_before_any_row(kept: Gallery) -> None:
    class Careless(MemoryFileSystem):  # type: ignore[misc]
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: object) -> None:
            super().pipe_file(path, value.replace(b"CC", b"CD"), mode, **options)

    lost(kept)
    files = Careless()
    files.store.clear()
    storages.register_backend(FSSpecBackend(key="attachments", fs=files))
    try:
        with pytest.raises(DamagedObjectError, match="what arrived is not what was sent"):
            loaded(kept)
        assert not files.exists("c")
        assert kept.rows() == {}
    finally:
        storages.unregister_backend("attachments")
        files.store.clear()


def test_a_file_that_came_since_the_files_were_looked_at_refuses_the_load(
    kept: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumped(kept)
    name, content = next(iter(kept.live_files().items()))
    shutil.rmtree(kept.live)
    kept.run("DELETE FROM photo", "DELETE FROM album")
    usual = FilePutting.put

    def put(self: FilePutting) -> None:
        kept.put(name, b"of the application")
        usual(self)

    with monkeypatch.context() as patch:
        patch.setattr(FilePutting, "put", put)
        with pytest.raises(ExistingFilesError, match=name):
            loaded(kept)
    assert (kept.live_files()[name], kept.rows()) == (b"of the application", {})
    # The same is none that is in its way.
    kept.put(name, content)
    loaded(kept)
    assert kept.rows()


def test_rows_that_are_refused_bring_no_file(kept: Gallery) -> None:
    lost(kept)
    kept.photo(3, None)
    with pytest.raises(ExistingRowsError):
        load_data(kept.config, "sqlite", directory=kept.config.root / "out", options=Options(mode=Mode.INSERT))
    assert kept.live_files() == {}


def test_only_files_of_rows_that_are_loaded_are_put_back(kept: Gallery) -> None:
    lost(kept)
    fixture = kept.config.root / "out" / "photo.json"
    rows = [row for row in json.loads(fixture.read_text()) if row["id"] == 3]
    unknown = [{"id": 4, "file": reference("unknown", b"U")}, {"id": 6, "file": {"filename": "x", "backend": 5}}]
    fixture.write_text(json.dumps([*rows, *unknown, {"id": 5}, {"id": 7, "file": reference("own", b"O")}]))
    kept.put("own", b"O")
    done = loaded(kept)
    assert done is not None
    assert files_of(structs.replace(done, problems=())) == (1, 1, 2, 0)
    assert [each.partition(": ")[0] for each in done.problems] == ["attachments:'unknown'", "photo id=6"]
    assert kept.live_files() == {"c": b"CC", "own": b"O"}
    assert set(kept.rows()) == {3, 4, 5, 6, 7}


def test_a_name_that_leads_out_of_the_store_is_refused(kept: Gallery) -> None:
    lost(kept)
    root = kept.config.root
    for name, path in (("photo.json", "../../../led-astray"), (MANIFEST, "../../../led-astray")):
        place = root / "out" / name
        place.write_text(place.read_text().replace('"c"', json.dumps(path)))
    with pytest.raises(StoreError, match="led-astray"):
        loaded(kept)
    assert not list(root.parent.glob("**/led-astray"))
    assert (kept.live_files(), kept.rows()) == ({}, {})


@pytest.mark.parametrize("sha256", ["../../etc/passwd", "A" * 64, "", "a" * 63 + "\n", "a" * 64 + "\n"])
def test_a_manifest_that_names_content_by_no_hash_is_refused(kept: Gallery, sha256: str) -> None:
    place = kept.config.root / "out" / MANIFEST
    document = json.loads(place.read_bytes())
    document["attachments"]["attachments"]["c"]["sha256"] = sha256
    place.write_text(json.dumps(document))
    with pytest.raises(FixtureError, match="is not a manifest"):
        loaded(kept)


def test_a_store_that_is_not_configured_refuses_the_load_whole(kept: Gallery) -> None:
    lost(kept)
    swaps = (("photo.json", '"backend": "'), (MANIFEST, '    "'))
    for name, before in swaps:
        place = kept.config.root / "out" / name
        place.write_text(place.read_text().replace(f"{before}attachments", f"{before}media"))
    with pytest.raises(UnknownNameError, match="media") as caught:
        loaded(kept)
    assert caught.value.advice.endswith("load the rows alone: --no-attachments.")
    assert kept.rows() == {}
    assert loaded(kept, AttachmentMode.LEAVE) is None
    assert len(kept.rows()) == 3


def test_a_backend_keeps_the_content_type_of_the_reference(alone: Config, s3_server: S3Server) -> None:
    import obstore
    from obstore.store import S3Store

    s3_server.create_bucket("typed")
    world = gallery(alone, "sqlite")
    world.photo(1, "a", b"A", content_type="image/x-own")
    dumped(world)
    store = replace(world.config.stores["attachments"], address="s3://typed", options=s3_server.options)
    world.config = replace(world.config, stores={**world.config.stores, "attachments": store})
    loaded(world)
    options: Mapping[str, Any] = s3_server.options
    bucket = S3Store("typed", **options)
    assert obstore.get(bucket, "a").attributes["Content-Type"] == "image/x-own"


def test_the_command_leaves_or_replaces_files(
    kept: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = kept.config.root
    monkeypatch.chdir(root)
    (root / "toolkit.toml").write_text(
        f'metadata = "{kept.config.metadata}"\nmigrations = "none"\n'
        f'[databases]\nsqlite = "{kept.config.database("sqlite").address}"\n'
    )
    arguments = ["load-data", "--dir", "out"]
    kept.put("c", b"other")
    assert run(arguments) == 3
    assert "attachments:'c'" in capsys.readouterr().err
    assert run([*arguments, "--no-attachments", "--overwrite-attachments"]) == 2
    assert run([*arguments, "--no-attachments"]) == 0
    assert kept.live_files()["c"] == b"other"
    capsys.readouterr()
    assert run([*arguments, "--overwrite-attachments"]) == 0
    assert "Files: 1 copied to attachments (" in capsys.readouterr().out
    assert kept.live_files()["c"] == b"CC"


def test_a_test_s_database_gets_the_rows_and_leaves_the_live_store_alone(kept: Gallery) -> None:
    lost(kept)
    database = kept.config.database(f"sqlite:///{kept.config.root}/seeded.sqlite3")
    databases.create(database, metadata)
    Seed(kept.config, kept.config.root / "out").fill(database)
    assert len(Gallery(kept.config, database.address).rows()) == 3
    assert kept.live_files() == {}


@pytest.mark.slow
def test_the_bundled_fixtures_bring_every_file_that_an_archive_wants(tmp_path: Path) -> None:
    from toolkit.operations.archive.push import push

    root = Path(__file__).parents[2]
    (tmp_path / "toolkit.toml").write_text(
        f'metadata = "toolkit.models.todo:metadata"\nmigrations = "{root}/migrations"\nfixtures = "{root}/fixtures"\n'
    )
    config = load_config(tmp_path, {})
    found = load_data(config, "sqlite").attachments
    assert files_of(found)[:2] == (5, 5)
    pushed = push(config, "sqlite")
    assert (pushed.files, pushed.objects, pushed.complete) == (5, 5, True)


def test_files_without_the_manifest_that_says_whose_they_are_are_not_left_out_unsaid(kept: Gallery) -> None:
    dumped(kept)
    (kept.config.root / "out" / MANIFEST).unlink()
    with pytest.raises(FixtureError, match=r"is not there: which rows point at the [0-9] files in"):
        load_data(kept.config, kept.database, directory=kept.config.root / "out")
    load_data(kept.config, kept.database, directory=kept.config.root / "out", attachments=AttachmentMode.LEAVE)
