"""Directories of this machine that are written into: what came with them leads nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import StoreError
from toolkit.stores.directories import LocalDirectory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory, as of a clone, beside others."""
    for name in ("root", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "file").write_text("theirs")
    return tmp_path / "root"


def untouched(root: Path) -> bool:
    """Whether what is outside is as it was."""
    outside = root.parent / "outside"
    return [path.name for path in outside.iterdir()] == ["file"] and (outside / "file").read_text() == "theirs"


@pytest.mark.parametrize("way", ["link/file", "link/new", "inner/../../outside/new", "{outside}/new"])
@pytest.mark.parametrize("change", ["create", "move to", "move from", "remove"])
def test_nothing_is_changed_outside_of_a_directory(root: Path, way: str, change: str) -> None:
    (root / "link").symlink_to("../outside")
    (root / "inner").mkdir()
    (root / "own").write_text("ours")
    name, directory = way.format(outside=root.parent / "outside"), LocalDirectory(root)
    with pytest.raises(StoreError, match="leads out of"):  # noqa: PT012
        match change:
            case "create":
                with directory.create(name):
                    pass
            case "move to":
                directory.move("own", name)
            case "move from":
                directory.move(name, "own")
            case "remove":
                directory.remove(name)
    assert untouched(root)


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(root: Path) -> None:
    directory = LocalDirectory(root)
    for name in ("aside", "last"):
        (root / name).symlink_to("../outside/file")
    with directory.create("aside") as file:
        file.write(b"ours")
    directory.move("aside", "last")
    assert untouched(root)
    assert (root / "last").read_text() == "ours"
    assert not (root / "last").is_symlink()


def test_a_directory_that_is_itself_a_link_or_has_links_within_is_written_to(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    (root / "inner").mkdir()
    (root / "also").symlink_to("inner")
    directory = LocalDirectory(link)
    with directory.alone(), directory.create("also/file"):
        pass
    assert (root / "inner" / "file").exists()


@pytest.mark.parametrize("kind", ["link", "link to nothing", "file", "directory"])
def test_what_is_in_the_place_of_the_lock_and_none_is_told(root: Path, kind: str) -> None:
    lock = root / ".toolkit-lock"
    match kind:
        case "link":
            lock.symlink_to("../outside/file")
        case "link to nothing":
            lock.symlink_to("../outside/new")
        case "file":
            lock.write_text("something else")
        case "directory":
            lock.mkdir()
    with pytest.raises(StoreError, match=r"\.toolkit-lock: is in the place of a lock"), LocalDirectory(root).alone():
        pass
    assert untouched(root)
