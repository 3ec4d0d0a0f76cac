"""Content type, headers and metadata of an object, and permissions of a local file, travel with the content."""

from __future__ import annotations

import secrets
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from tests.operations import databases
from tests.operations.archive_example import Gallery, gallery
from tests.operations.gallery import metadata
from tests.servers.azurite import AzureServer
from toolkit.config import Config, Store
from toolkit.core.file_properties import Properties
from toolkit.operations.archive.backends import Backends
from toolkit.operations.archive.collecting import Collector
from toolkit.operations.fixtures.dump import dump_data
from toolkit.operations.fixtures.load import load_data
from toolkit.operations.sync import sync

HEADERS = {
    "Content-Type": "application/pdf",
    "Content-Disposition": 'attachment; filename="Invoice 1.pdf"',
    "Cache-Control": "private, max-age=60",
    "author": "dept-7",
}


def in_bucket(bucket: Store, name: str) -> Store:
    return replace(bucket, name=name, address=f"{bucket.address}/{secrets.token_hex(8)}")


@pytest.fixture
def invoices(alone: Config, archive_bucket: Store) -> Gallery:
    """A gallery with one file in S3, whose row does not know all that the object has; and two more stores there."""
    stores = {name: in_bucket(archive_bucket, name) for name in ("attachments", "mirror", "other")}
    world = gallery(replace(alone, stores={**alone.stores, **stores}), "sqlite")
    world.photo(1, "inv/1", None, size=4, content_type="application/pdf", metadata={"author": "dept-7"})
    live(world).write("inv/1", [b"%PDF"], properties=Properties(HEADERS))
    return world


def live(world: Gallery, key: str = "attachments") -> Any:
    return Backends(world.config).get(key)


def attributes(world: Gallery, key: str = "attachments", path: str = "inv/1") -> dict[str, str]:
    info = live(world, key).info(path)
    return {} if info is None else info.properties.attributes


@pytest.mark.parametrize("move", [False, True])
def test_an_object_comes_back_from_the_archive_as_it_was(invoices: Gallery, move: bool) -> None:
    before = invoices.rows()
    first = invoices.push(move=move)
    live(invoices).delete("inv/1")
    if move:
        # A snapshot that saw the row when it was moved already knows as much.
        assert invoices.push().archived == 1
        invoices.archive.remove_snapshots([first.snapshot or ""])
    assert invoices.restore().findings == ()
    assert (attributes(invoices), invoices.rows()) == (HEADERS, before)


def test_every_file_of_a_snapshot_has_them_however_the_store_is_asked(
    alone: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = gallery(alone, "sqlite", attachments="memory://")
    for number in range(26):
        world.photo(number, f"{number}", None)
        live(world).write(f"{number}", [b"%d" % number], properties=Properties(HEADERS))

    def kept() -> list[dict[str, str] | None]:
        entries = world.archive.entries(world.push().snapshot or "")
        return [None if each.properties is None else each.properties.attributes for each in entries]

    assert kept() == [HEADERS] * 26
    assert kept() == [HEADERS] * 26
    look = Collector._examine
    monkeypatch.setattr(Collector, "_examine", lambda self, row: structs.replace(look(self, row), properties=None))
    # By the last snapshot, and by the store where there is none.
    assert kept() == [HEADERS] * 26
    world.archive.remove_snapshots(world.archive.snapshot_ids())
    assert kept() == [HEADERS] * 26


@pytest.mark.slow
def test_an_object_goes_with_its_row_to_another_store_as_it_is(invoices: Gallery) -> None:
    two = f"sqlite:///{invoices.config.root}/two.sqlite3"
    databases.create(invoices.config.database(two), metadata)

    def copied(**options: Any) -> int | None:
        found = sync(invoices.config, "sqlite", two, attachments="mirror", **options).attachments
        return None if found is None or found.problems else found.copied

    assert (copied(), attributes(invoices, "mirror")) == (1, HEADERS)
    # What lost them earlier gets them again where that is asked for.
    live(invoices, "mirror").write("inv/1", [b"%PDF"])
    assert copied() == 0
    assert (copied(overwrite_attachments=True), attributes(invoices, "mirror")) == (1, HEADERS)
    assert copied(overwrite_attachments=True) == 0


def test_fixtures_bring_an_object_back_as_it_was(invoices: Gallery, tmp_path: Path) -> None:
    dump_data(invoices.config, "sqlite", directory=tmp_path / "dump", attachments=True)
    live(invoices).delete("inv/1")
    load_data(invoices.config, "sqlite", directory=tmp_path / "dump")
    assert attributes(invoices) == HEADERS


def test_a_store_with_a_place_for_it_gets_what_the_row_says_of_a_local_file(
    alone: Config, archive_bucket: Store
) -> None:
    world = gallery(replace(alone, stores={**alone.stores, "other": in_bucket(archive_bucket, "other")}), "sqlite")
    world.photo(1, "a", b"A", content_type="a/b", metadata={"Cache-Control": "private", "n": 1, "city": "K\u00f6ln"})
    world.push()
    (world.live / "a").unlink()
    restored = world.restore(backend="other")
    assert (restored.findings, world.rows()[1]["backend"]) == ((), "other")
    assert attributes(world, "other", "a") == {"Content-Type": "a/b", "Cache-Control": "private", "n": "1"}


@pytest.mark.slow
def test_azure_gets_metadata_under_the_names_that_it_takes(alone: Config, azure_server: AzureServer) -> None:
    azure_server.create_container("properties")
    store = Store("attachments", "az://properties", options=azure_server.options)
    world = gallery(replace(alone, stores={**alone.stores, "attachments": store}), "sqlite")
    live(world).write("a", [b"A"], properties=Properties({**HEADERS, "Doc_Id": "1", "x-dashed": "2"}))
    assert attributes(world, path="a") == {**HEADERS, "doc_id": "1"}


def test_a_manifest_of_an_earlier_version_gives_what_the_row_said(invoices: Gallery) -> None:
    found = invoices.archive.find(invoices.push().snapshot or "")
    entries = [structs.replace(each, properties=None) for each in invoices.archive.entries(found.id)]
    invoices.archive.write_snapshot(found, entries)
    live(invoices).delete("inv/1")
    invoices.restore()
    assert attributes(invoices) == {"Content-Type": "application/pdf", "author": "dept-7"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o4755])
def test_a_local_file_keeps_its_permissions_and_no_more_than_these(world: Gallery, tmp_path: Path, mode: int) -> None:
    def now(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    world.config = replace(
        world.config, stores={**world.config.stores, "copy": Store("copy", "copy", world.config.root)}
    )
    world.photo(1, "a", b"A")
    (world.live / "a").chmod(mode)
    world.push(move=True)
    assert world.restore(directory=tmp_path / "out").findings == ()
    assert world.restore().findings == ()
    two = f"sqlite:///{world.config.root}/two.sqlite3"
    databases.create(world.config.database(two), metadata)
    sync(world.config, "sqlite", two, attachments="copy")
    places = world.live / "a", tmp_path / "out/attachments/a", world.config.root / "copy/a"
    assert {now(place) for place in places} == {mode & 0o777}
