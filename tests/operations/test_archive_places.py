"""Databases that have one name and share one archive are told apart: what is one's is never released for another."""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conftest import ENGINES
from tests.operations.archive_example import Gallery, gallery
from tests.operations.gallery import metadata
from toolkit.config import Config, load_config
from toolkit.core.archive_manifest import Header
from toolkit.engines import connect
from toolkit.errors import ConfigurationError, UnknownNameError
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.prune_values import KeptMoves


def identity(world: Gallery) -> str:
    with connect(world.config.database(world.database)) as connection:
        return connection.identity()


@pytest.fixture
def other(world: Gallery, tmp_path: Path) -> Gallery:
    """Another project, whose database has the same name and which uses the same archive."""
    return elsewhere(world, tmp_path / "other")


def elsewhere(world: Gallery, root: Path) -> Gallery:
    root.mkdir()
    (root / "toolkit.toml").write_text('metadata = "toolkit.models.todo:metadata"\n')
    config = load_config(root, {"TOOLKIT_SQLITE_URL": f"sqlite:///{root}/one.sqlite3"})
    return gallery(config, "sqlite", archive=str(world.folder))


def unmarked(world: Gallery) -> None:
    """Make all manifests what a version wrote that did not say where their rows are."""
    archive = world.archive
    for header, entries in [(header, list(entries)) for header, entries in archive.moved()]:
        archive.write_moved(_without_place(header), entries)
    for header in archive.snapshots()[0]:
        archive.write_snapshot(_without_place(header), list(archive.entries(header.id)))


def _without_place(header: Header) -> Header:
    return Header(**{name: getattr(header, name) for name in Header.__struct_fields__ if name != "place"})


def moved_away(*worlds: Gallery) -> list[str]:
    """One row of each is moved to the archive; then a snapshot of none of them, so that only rows need the objects."""
    objects = []
    for number, world in enumerate(worlds):
        world.photo(1, f"{number}", b"content %d" % number)
        assert world.push(move=True).moved == 1
        objects.append(str(world.rows()[1]["filename"]))
        world.put("b", b"B")
        world.album("me", 1, "b")
        world.push("album")
        world.archive.remove_snapshots([header.id for header in world.archive.snapshots()[0] if header.moved])
    return objects


def test_what_rows_of_another_database_of_the_same_name_were_moved_to_stays(world: Gallery, other: Gallery) -> None:
    mine, theirs = moved_away(world, other)
    other.run("DELETE FROM photo")
    result = other.prune(last=1, source="sqlite")
    assert (mine in world.objects(), theirs in world.objects()) == (True, False)
    assert result.kept_moves == (KeptMoves(1, identity(world)),)
    assert world.verify(source="sqlite", read_data=True).whole


def test_content_that_rows_of_both_were_moved_to_stays_for_the_other(world: Gallery, other: Gallery) -> None:
    for each in (world, other):
        each.photo(1, "same", b"the same")
        each.push(move=True)
        each.put("b", b"B")
        each.album("me", 1, "b")
        each.push("album")
    other.archive.remove_snapshots([header.id for header in other.archive.snapshots()[0] if header.moved])
    other.run("DELETE FROM photo")
    other.prune(last=1, source="sqlite")
    assert world.rows()[1]["filename"] in world.objects()


def test_snapshots_of_another_database_of_the_same_name_are_judged_by_themselves(
    world: Gallery, other: Gallery
) -> None:
    for each in (world, other):
        each.photo(1, "a", b"A")
        each.push()
    result = world.prune(last=1)
    assert result.removed_snapshots == 0
    assert {each.group for each in result.snapshots} == {f"sqlite at {identity(each)}" for each in (world, other)}


def test_a_push_takes_no_word_on_its_files_from_another_database_of_the_same_name(
    world: Gallery, other: Gallery
) -> None:
    world.photo(1, "a", b"A")
    world.push()
    shutil.copytree(world.live, other.live)
    other.photo(1, "a")
    other.push()
    assert world.push().read == 0


def test_a_machine_of_a_new_name_reads_no_file_anew(world: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    world.photo(1, "a", b"A")
    world.push()
    monkeypatch.setattr(platform, "node", lambda: "renamed")
    assert world.push().read == 0


def test_the_latest_snapshot_is_that_of_the_database_not_of_another_one_of_its_name(
    world: Gallery, other: Gallery
) -> None:
    world.photo(1, "a", b"A")
    mine = world.push().snapshot
    other.photo(1, "a", b"other")
    other.push()
    assert world.restore().snapshot == mine


def test_a_database_that_has_moved_adopts_what_it_moved_before(world: Gallery, tmp_path: Path) -> None:
    (theirs,) = moved_away(world)
    before = identity(world)
    new = elsewhere(world, tmp_path / "new")
    shutil.move(str(world.config.database("sqlite").file), str(new.config.database("sqlite").file))
    new.run("DELETE FROM photo")
    assert new.prune(last=1, source="sqlite").kept_moves == (KeptMoves(1, before),)
    assert theirs in new.objects()
    new.put("b", b"B")
    new.push("album")
    result = new.prune(last=1, source="sqlite", adopt=[before])
    assert (result.kept_moves, theirs in new.objects()) == ((), False)
    assert result.removed_snapshots == 1


def test_only_places_that_the_archive_knows_are_adopted(world: Gallery) -> None:
    moved_away(world)
    with pytest.raises(UnknownNameError, match="place 'nowhere'"):
        world.prune(last=1, source="sqlite", adopt=["nowhere"])
    with pytest.raises(ConfigurationError, match="Only a database"):
        world.prune(last=1, adopt=[identity(world)])


def test_manifests_without_a_place_are_pruned_as_before(world: Gallery) -> None:
    (mine,) = moved_away(world)
    unmarked(world)
    world.push("album")
    world.run("DELETE FROM photo")
    result = world.prune(last=1, source="sqlite")
    assert (result.removed_snapshots, result.kept_moves) == (1, ())
    assert mine not in world.objects()


def test_a_manifest_without_a_place_is_in_doubt_as_soon_as_there_are_two(world: Gallery, other: Gallery) -> None:
    (mine,) = moved_away(world)
    unmarked(world)
    other.photo(1, "o", b"O")
    other.push()
    world.run("DELETE FROM photo")
    result = world.prune(last=1, source="sqlite")
    assert result.kept_moves == (KeptMoves(1, "unmarked"),)
    assert mine in world.objects()
    world.prune(last=1, source="sqlite", adopt=["unmarked"])
    assert mine not in world.objects()


def test_what_tables_were_moved_to_that_the_metadata_lacks_stays(world: Gallery) -> None:
    (mine,) = moved_away(world)
    only_album = Gallery(replace(world.config, metadata="tests.operations.test_archive_places:ALBUM"), "sqlite")
    world.run("DELETE FROM photo")
    assert only_album.prune(last=1, source="sqlite").kept_moves == (KeptMoves(1, None, ("photo.file",)),)
    assert mine in world.objects()


ALBUM = sa.MetaData()
metadata.tables["album"].to_metadata(ALBUM)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_place_is_the_same_each_time_and_another_on_another_machine_or_cluster(
    config: Config, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = gallery(config, engine)
    mine = identity(world)
    assert (identity(world), len(mine), int(mine, 16) > 0) == (mine, 16, True)
    monkeypatch.setattr(platform, "node", lambda: "another machine")
    assert (identity(world) == mine) == (engine == "postgres")


def test_schemas_of_one_postgresql_database_are_two_places(config: Config) -> None:
    world = gallery(config, "postgres")
    world.run("CREATE SCHEMA second")
    url = config.database("postgres").address
    second = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dsecond"
    assert _identity_of(config, second) != identity(world)


def test_a_role_that_may_not_ask_for_the_clusters_number_has_a_place_too(config: Config) -> None:
    world = gallery(config, "postgres")
    name = f"place_{(config.database('postgres').url.database or '')[-8:]}"
    world.run(f"CREATE ROLE {name} LOGIN", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    url = config.database("postgres").url.set(username=name).render_as_string(hide_password=False)
    try:
        assert _identity_of(config, url) not in ("", identity(world))
    finally:
        world.run("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC", f"DROP ROLE {name}")


def _identity_of(config: Config, url: str) -> str:
    with connect(config.database(url)) as connection:
        return connection.identity()


def test_a_database_with_an_identity_of_its_own_is_the_same_wherever_it_is(
    world: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known_as(each: Gallery, name: str) -> str:
        databases = {n: replace(d, identity=name) for n, d in each.config.databases.items()}
        each.config = replace(each.config, databases=databases)
        return identity(each)

    new = elsewhere(world, tmp_path / "new")
    assert identity(world) != identity(new)
    mine = known_as(world, "production")
    monkeypatch.setattr(platform, "node", lambda: "another container")
    assert known_as(new, "production") == mine
    assert known_as(new, "staging") != mine
    known_as(new, "production")
    (theirs,) = moved_away(world)
    new.photo(2, "other", b"other")
    assert new.prune(last=1, source="sqlite").kept_moves == ()
    assert theirs not in new.objects()


def test_a_row_whose_metadata_cannot_say_where_its_file_was_is_not_moved_and_told(world: Gallery) -> None:
    world.photo(1, "a", b"A", metadata=[1])
    world.photo(2, "b", b"B", metadata="text")
    world.photo(3, "c", b"C")
    result = world.push(move=True)
    assert [(each.outcome, each.key) for each in result.findings] == [(Outcome.MALFORMED, {"id": n}) for n in (1, 2)]
    assert (result.moved, world.live_files()) == (1, {"a": b"A", "b": b"B"})
    assert [world.rows()[number]["filename"] for number in (1, 2)] == ["a", "b"]


def test_a_row_that_was_moved_and_got_another_file_since_is_known_by_that_one(world: Gallery) -> None:
    world.photo(1, "old", b"old content", metadata={"archived_from": {"backend": "attachments", "filename": "of 2"}})
    world.photo(2, "of 2", b"of 2")
    snapshot = str(world.push().snapshot)
    assert {entry.path: entry.key["id"] for entry in world.archive.entries(snapshot)} == {"old": 1, "of 2": 2}
    rows, files = world.rows(), world.live_files()
    for path in files:
        (world.live / path).unlink()
    assert world.restore().findings == ()
    assert (world.rows(), world.live_files()) == (rows, files)
