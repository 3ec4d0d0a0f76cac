"""A store that says that it wrote something, and did not: no verb ends well, and nothing is removed for it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.operations.archive_example import Gallery, gallery
from tests.servers.unreliable import Fault, UnreliableProxy
from toolkit.config import Config, Store
from toolkit.errors import NotArrivedError
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.erasing import forget
from toolkit.operations.archive.outcomes import Outcome
from toolkit.operations.archive.rotating import rotate_key
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data

ONE, TWO = "01" * 32, "02" * 32
Make = Callable[..., Gallery]


@pytest.fixture
def behind_proxy(alone: Config, archive_bucket: Store, unreliable_s3: UnreliableProxy) -> Make:
    """A gallery of which one store is behind the proxy, with more settings."""

    def make(name: str = "archive", **more: Any) -> Gallery:
        options = {**archive_bucket.options, "endpoint": unreliable_s3.endpoint, **more}
        address = f"{archive_bucket.address}/{secrets.token_hex(8)}"
        store = replace(archive_bucket, name=name, address=address, options=options)
        return gallery(replace(alone, stores={**alone.stores, name: store}), "sqlite")

    return make


def lose(proxy: UnreliableProxy, world: Gallery, folder: str, store: str = "archive") -> None:
    """Let the store take what is written to a folder, and keep none of it."""
    prefix = world.config.stores[store].address.removeprefix("s3:/")
    proxy.every, proxy.only, proxy.faults = 1, f"PUT {prefix}/{folder}", (Fault.SWALLOWED,)


def with_key(world: Gallery, key: str) -> None:
    store = world.config.stores["archive"]
    changed = replace(store, options={**store.options, "encryption_key": key})
    world.config = replace(world.config, stores={**world.config.stores, "archive": changed})


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["snapshots", "moved"])
def test_a_push_whose_manifest_is_lost_fails_and_moves_nothing(
    behind_proxy: Make, unreliable_s3: UnreliableProxy, folder: str
) -> None:
    world = behind_proxy()
    world.photo(1, "a", b"A")
    rows = world.rows()
    lose(unreliable_s3, world, folder)
    with pytest.raises(NotArrivedError, match=f"'{folder}/.*it was written, and is not there"):
        world.push(move=True)
    unreliable_s3.reliable()
    assert (world.rows(), world.live_files()) == (rows, {"a": b"A"})
    assert len(list(world.archive.snapshot_ids())) == (folder == "moved")
    assert world.push(move=True).moved == 1
    assert world.verify(read_data=True, source="sqlite").whole


@pytest.mark.slow
@pytest.mark.parametrize("keys", [(), (ONE,)])
def test_an_erasure_whose_manifest_is_lost_removes_no_object(
    behind_proxy: Make, unreliable_s3: UnreliableProxy, keys: tuple[str, ...]
) -> None:
    world = behind_proxy(**({"encryption_key": ONE} if keys else {}))
    world.photo(1, "a", b"A")
    world.photo(2, "b", b"B")
    world.push()
    if keys:
        # The manifest is written anew with the first key; what the other one wrote is removed then.
        with_key(world, f"{TWO}\n{ONE}")
    lose(unreliable_s3, world, "snapshots")
    with pytest.raises(NotArrivedError):
        forget(world.config, "sqlite", {"photo": ("id = 1",)})
    unreliable_s3.reliable()
    result = world.verify(read_data=True)
    assert (result.whole, len(result.snapshots), result.ok) == (True, 1, 2)


@pytest.mark.slow
def test_a_rotation_removes_nothing_that_is_not_there_with_the_new_key(
    behind_proxy: Make, unreliable_s3: UnreliableProxy
) -> None:
    world = behind_proxy(encryption_key=ONE)
    world.photo(1, "a", os.urandom(100))
    world.push()
    with_key(world, f"{TWO}\n{ONE}")
    for folder in ("encryption", "objects"):
        lose(unreliable_s3, world, folder)
        with pytest.raises(NotArrivedError):
            rotate_key(world.config)
        unreliable_s3.reliable()
        assert world.verify(read_data=True).whole
    assert rotate_key(world.config).complete
    with_key(world, TWO)
    assert world.verify(read_data=True).whole


def test_a_restored_file_that_is_not_there_is_told_and_its_row_stays(
    behind_proxy: Make, unreliable_s3: UnreliableProxy
) -> None:
    world = behind_proxy("attachments")
    live = Backends(world.config).get("attachments")
    live.write("a", [b"A"], size=1)
    world.photo(1, "a")
    world.push()
    live.delete("a")
    world.run("UPDATE photo SET file = NULL")
    lose(unreliable_s3, world, "", "attachments")
    result = world.restore()
    unreliable_s3.reliable()
    assert (result.written, result.repairs, world.rows()) == (0, (), {1: None})
    assert [(each.outcome, each.path) for each in result.findings] == [(Outcome.UNWRITABLE, "a")]
    assert world.restore().written == 1
    assert b"".join(live.read("a")) == b"A"


@pytest.mark.slow
@pytest.mark.parametrize("folder", [".toolkit-dump/manifest.json", "photo.json", "attachments"])
def test_a_dump_of_which_something_is_lost_fails_and_the_next_is_whole(
    behind_proxy: Make, unreliable_s3: UnreliableProxy, folder: str
) -> None:
    world = behind_proxy("out")
    world.photo(1, "a", b"A")
    place = world.config.stores["out"]
    lose(unreliable_s3, world, folder, "out")
    with pytest.raises(NotArrivedError, match=folder):
        dump_data(world.config, "sqlite", directory=place, attachments=True)
    unreliable_s3.reliable()
    dump_data(world.config, "sqlite", directory=place, attachments=True)
    (world.live / "a").unlink()
    world.run("DELETE FROM photo")
    load_data(world.config, "sqlite", directory=place)
    assert (list(world.rows()), world.live_files()) == ([1], {"a": b"A"})
