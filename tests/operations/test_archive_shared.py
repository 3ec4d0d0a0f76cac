"""One place is one, whatever leads there: backends with links, letters and folders in common, several databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from tests.operations.archive_example import Gallery, gallery
from toolkit.config import Config, Database, Schema
from toolkit.errors import SharedFilesError
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.project import load_models
from toolkit.stores import locations


def another(world: Gallery) -> Gallery:
    """Another database of the configuration, which both know, with a gallery of its own."""
    other = Database("other", f"sqlite:///{world.config.root}/other.sqlite3")
    world.config = replace(world.config, databases={**world.config.databases, "other": other})
    return gallery(world.config, "other")


def orphans(world: Gallery) -> list[tuple[str | None, str | None]]:
    findings = world.audit().findings
    assert {each.outcome for each in findings} <= {Outcome.ORPHAN}
    return [(each.backend, each.path) for each in findings]


@pytest.mark.parametrize("media", [".toolkit/attachments/", "link", ".toolkit/attachments/within", ".toolkit"])
def test_an_audit_takes_two_backends_in_one_place_for_one(alone: Config, media: str) -> None:
    (alone.root / ".toolkit/attachments/within").mkdir(parents=True)
    (alone.root / "link").symlink_to(alone.root / ".toolkit/attachments")
    world = gallery(alone, "sqlite", media=media, archive="kept")
    world.photo(1, "a", b"A")
    path = {".toolkit/attachments/within": "m", ".toolkit": "attachments/within/m"}.get(media, "within/m")
    world.photo(2, path, None, backend="media")
    world.put("within/m", b"M")
    assert orphans(world) == []
    world.put("within/alone", b"1")
    assert orphans(world) == [("attachments", "within/alone")]


def test_an_audit_follows_links_within_a_store(world: Gallery) -> None:
    world.photo(1, "real/a", b"A")
    (world.live / "link").symlink_to("real")
    assert orphans(world) == []
    world.run("""UPDATE photo SET file = replace(file, 'real/a', 'link/a')""")
    assert orphans(world) == []


def test_an_audit_knows_the_rows_of_every_configured_database(world: Gallery) -> None:
    other = another(world)
    world.photo(1, "a", b"A")
    other.photo(1, "theirs", b"B")
    other.photo(2, "unknown", b"C", backend="nobody")
    world.put("alone", b"1")
    assert orphans(world) == [("attachments", "alone")]


def test_an_audit_knows_the_rows_of_a_database_with_models_of_its_own(world: Gallery) -> None:
    other = another(world)
    other.photo(1, "theirs", b"B")
    metadata = sa.MetaData()
    load_models(world.config).tables["photo"].to_metadata(metadata, name="picture")
    other.run("ALTER TABLE photo RENAME TO picture")
    assert orphans(world) == [("attachments", "theirs")]
    own = Schema("other:metadata", world.config.migrations, models=metadata)
    world.config = replace(world.config, schemas={"other": own})
    assert orphans(world) == []


def test_an_audit_tells_of_a_database_whose_rows_it_cannot_read(world: Gallery) -> None:
    another(world)
    (world.config.root / "other.sqlite3").write_bytes(b"no database at all, but a file of some length" * 10)
    world.photo(1, "a", b"A")
    # Nobody has to know.
    assert world.audit().clean
    world.put("b", b"B")
    found = {each.outcome: each for each in world.audit().findings}
    assert set(found) == {Outcome.ORPHAN, Outcome.UNREADABLE}
    assert "'other'" in str(found[Outcome.UNREADABLE].reason)


def test_a_file_whose_row_writes_its_name_in_another_case_has_a_row_where_that_is_one(
    world: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locations, "ignores_case", lambda folder: True)
    world.photo(1, "A.PNG", None)
    world.put("a.png", b"A")
    # What is no orphan is not removed; a file system that does tell them apart here has no A.PNG.
    assert Outcome.ORPHAN not in {each.outcome for each in world.audit().findings}


@pytest.mark.parametrize("said", [{"size": 6}, {"size": 3, "last_modified": 1.5}, {"etag": "x"}, {}])
def test_a_name_that_a_new_row_has_lost_is_given_no_file_of_an_earlier_row(
    world: Gallery, said: dict[str, Any]
) -> None:
    world.photo(1, "a", b"old", etag="o")
    world.push()
    world.run("DELETE FROM photo")
    world.photo(2, "a", None, **said)
    (world.live / "a").unlink()
    result = world.restore(rowless=True)
    # What says nothing else shares the file, for all that can be known.
    assert (Outcome.COLLIDES in {each.outcome for each in result.findings}) == bool(said)
    assert world.live_files() == ({} if said else {"a": b"old"})


@pytest.mark.parametrize("number", [1, 2])
def test_no_file_is_overwritten_that_another_row_of_another_database_points_at(world: Gallery, number: int) -> None:
    other = another(world)
    world.photo(1, "a", b"old")
    world.push()
    world.put("a", b"newer")
    # A copy of the row reads what the row reads.
    other.photo(number, "/a", None)
    result = world.restore(overwrite=True)
    assert [each.outcome for each in result.findings] == ([] if number == 1 else [Outcome.KEPT])
    assert world.live_files() == {"a": b"old" if number == 1 else b"newer"}


def test_nothing_is_overwritten_while_the_rows_of_another_database_cannot_be_read(world: Gallery) -> None:
    another(world)
    (world.config.root / "other.sqlite3").write_bytes(b"no database at all, but a file of some length" * 10)
    world.photo(1, "a", b"old")
    world.photo(2, "b", b"lost")
    world.push()
    (world.live / "b").unlink()
    assert world.restore(overwrite=True).complete
    world.put("a", b"newer")
    with pytest.raises(SharedFilesError, match="'other'") as caught:
        world.restore(overwrite=True)
    assert caught.value.advice.endswith("leave out --overwrite.")
    assert world.live_files() == {"a": b"newer", "b": b"lost"}
    assert [each.outcome for each in world.restore().findings] == [Outcome.KEPT]
