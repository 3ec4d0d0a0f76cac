"""Files come along with the rows that point at them."""

from __future__ import annotations

import pytest

from tests.operations import databases
from tests.operations.archive_example import Gallery, gallery
from tests.operations.gallery import metadata
from tests.operations.outcomes import files_in
from toolkit.config import Config
from toolkit.errors import CollidingFilesError, SchemaMismatchError, UnknownNameError
from toolkit.operations.sync import sync


@pytest.mark.parametrize("target", ["postgres"])
def test_files_that_the_targets_store_lacks_come_with_the_rows(config: Config, target: str) -> None:
    world = gallery(config, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a/ä b.jpg", b"A" * 1000)
    world.photo(2, "b.jpg", b"B")
    world.put("x", b"X")
    world.album("me", 7, "x", "b.jpg")
    databases.create(config.database(target), metadata)
    plan = sync(world.config, "sqlite", target, attachments="copy", dry_run=True)
    assert plan.attachments is not None
    folder = config.root / ".toolkit/copy"
    assert (plan.attachments.copied, folder.exists()) == (3, False)
    done = sync(world.config, "sqlite", target, attachments="copy")
    assert done.attachments == plan.attachments
    assert files_in(folder) == world.live_files()
    again = sync(world.config, "sqlite", target, attachments="copy").attachments
    assert again is not None
    assert (again.copied, again.there, again.problems) == (0, 3, ())


def test_what_cannot_be_copied_is_told_and_the_rows_are_synced(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"A")
    world.photo(2, "gone", None)
    world.photo(3, "other", b"source")
    world.row(4, '{"filename": "a", "backend": 5}')
    (alone.root / ".toolkit/copy").mkdir(parents=True)
    (alone.root / ".toolkit/copy/other").write_bytes(b"the target's own")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    result = sync(world.config, "sqlite", two, attachments="copy")
    assert result.attachments is not None
    assert result.attachments.copied == 1
    assert [problem.partition(": ")[0] for problem in result.attachments.problems] == [
        "attachments:'gone'",
        result.attachments.store,
        "photo id=4",
    ]
    assert (alone.root / ".toolkit/copy/other").read_bytes() == b"the target's own"
    assert Gallery(world.config, two).rows() == world.rows()


def test_files_that_rows_were_moved_to_in_an_archive_stay_there_and_are_counted(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"the same")
    world.photo(2, "b", b"the same")
    world.photo(3, "c", b"C")
    world.push(move=True)
    world.photo(4, "live", b"live")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    for dry_run in (True, False):
        found = sync(world.config, "sqlite", two, attachments="copy", dry_run=dry_run).attachments
        assert found is not None
        assert (found.files, found.copied, found.archived, found.problems) == (1, 1, 2, ())
    assert files_in(alone.root / ".toolkit/copy") == {"live": b"live"}


def two_backends(config: Config, **stores: str) -> tuple[Gallery, str]:
    """Rows of two live stores whose files have one name, and an empty target."""
    world = gallery(config, "sqlite", pages=".toolkit/pages", copy=".toolkit/copy", **stores)
    world.photo(1, "1.png", b"cover")
    world.photo(2, "1.png", None, backend="pages")
    (config.root / ".toolkit/pages").mkdir()
    (config.root / ".toolkit/pages/1.png").write_bytes(b"page!")
    two = f"sqlite:///{config.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    return world, two


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("path", ["1.png", "/1.png"])
def test_files_of_two_backends_that_would_be_one_are_refused_before_anything_is_written(
    alone: Config, dry_run: bool, path: str
) -> None:
    world, two = two_backends(alone)
    world.run(f"UPDATE photo SET file = replace(file, '\"1.png\"', '\"{path}\"') WHERE id = 2")
    with pytest.raises(CollidingFilesError, match=f"attachments:'1.png' and pages:'{path}'") as caught:
        sync(world.config, "sqlite", two, attachments="copy", dry_run=dry_run)
    assert (caught.value.exit_code, "--attachments BACKEND=STORE" in caught.value.advice) == (3, True)
    assert not (alone.root / ".toolkit/copy").exists()
    assert Gallery(world.config, two).rows() == {}


def test_each_backend_may_have_a_store_of_its_own(alone: Config) -> None:
    world, two = two_backends(alone)
    own = str(alone.root / ".toolkit/copy/p")
    found = sync(world.config, "sqlite", two, attachments={"pages": own, "": "copy"}).attachments
    assert found is not None
    assert (found.copied, found.problems) == (2, ())
    assert files_in(alone.root / ".toolkit/copy") == {"1.png": b"cover", "p/1.png": b"page!"}
    told = sync(world.config, "sqlite", two, attachments={"pages": own}).attachments
    assert told is not None
    assert told.problems == ("attachments:'1.png': no store was named for it (--attachments attachments=STORE)",)
    with pytest.raises(UnknownNameError, match="page"):
        sync(world.config, "sqlite", two, attachments={"page": own, "": "copy"})


def test_two_backends_that_are_one_place_have_one_file(alone: Config) -> None:
    world, two = two_backends(alone, media=".toolkit/pages/")
    world.run("UPDATE photo SET file = replace(file, '\"attachments\"', '\"media\"') WHERE id = 1")
    found = sync(world.config, "sqlite", two, attachments="copy").attachments
    assert found is not None
    assert found.problems == ()
    assert files_in(alone.root / ".toolkit/copy") == {"1.png": b"page!"}


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("content", [b"page!", None])
def test_no_file_goes_where_another_row_of_the_source_has_its_own(
    alone: Config, overwrite: bool, content: bytes | None
) -> None:
    world, two = two_backends(alone)
    if content is None:
        (alone.root / ".toolkit/pages/1.png").unlink()
    with pytest.raises(CollidingFilesError, match=r"attachments:'1\.png' and pages:'1\.png'"):
        sync(
            world.config,
            "sqlite",
            two,
            ["photo"],
            where={"photo": "id = 1"},
            attachments="pages",
            overwrite_attachments=overwrite,
        )
    assert files_in(alone.root / ".toolkit/pages") == ({} if content is None else {"1.png": content})
    # Its own is there already.
    found = sync(world.config, "sqlite", two, ["photo"], where={"photo": "id = 2"}, attachments="pages").attachments
    assert found is not None
    assert (found.there, found.copied) == (int(content is not None), 0)


@pytest.mark.parametrize("new", [b"new", b"another size"])
def test_a_file_that_was_replaced_under_its_name_is_told_and_replaced_when_asked_for(alone: Config, new: bytes) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"old")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    sync(world.config, "sqlite", two, attachments="copy")
    # Even where size and time are the same.
    world.put("a", new)
    told = sync(world.config, "sqlite", two, attachments="copy").attachments
    assert told is not None
    assert (told.there, told.copied, len(told.problems)) == (0, 0, 1)
    assert "--overwrite-attachments" in told.problems[0]
    assert files_in(alone.root / ".toolkit/copy") == {"a": b"old"}
    for copied in (1, 0):
        done = sync(world.config, "sqlite", two, attachments="copy", overwrite_attachments=True).attachments
        assert done is not None
        assert (done.copied, done.problems) == (copied, ())
    assert files_in(alone.root / ".toolkit/copy") == {"a": new}


def test_only_files_of_rows_that_are_synced_are_copied(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    sync(world.config, "sqlite", two, ["photo"], where={"photo": "id = 2"}, attachments="copy")
    assert [path.name for path in (alone.root / ".toolkit/copy").iterdir()] == ["b"]


def test_an_unknown_store_is_refused_before_anything_is_written(alone: Config) -> None:
    world = gallery(alone, "sqlite")
    world.photo(1, "a", b"A")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    with pytest.raises(UnknownNameError, match="nowhere"):
        sync(world.config, "sqlite", two, attachments="nowhere")
    assert Gallery(world.config, two).rows() == {}


def test_no_file_is_copied_when_the_source_lacks_a_table(alone: Config) -> None:
    world = gallery(alone, "sqlite", copy=".toolkit/copy")
    world.photo(1, "a", b"A")
    world.run("DROP TABLE note")
    two = f"sqlite:///{alone.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    with pytest.raises(SchemaMismatchError, match="no table 'note'"):
        sync(world.config, "sqlite", two, attachments="copy")
    assert not (alone.root / ".toolkit/copy").exists()
