"""Two names of one place are known as one, and two places as two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from advanced_alchemy.types.file_object.backends.fsspec import FSSpecBackend
from obstore.store import LocalStore, MemoryStore

from toolkit.config import Store
from toolkit.stores import locations
from toolkit.stores.client import ObjectStoreClient, client_for
from toolkit.stores.live import FsspecBackend

KEYS = {"access_key_id": "a", "secret_access_key": "b"}


def s3(url: str, **options: Any) -> str:
    return client_for(Store("s", url, options={**KEYS, **options})).location()


def test_a_directory_is_one_place_through_links_slashes_and_libraries(tmp_path: Path) -> None:
    (tmp_path / "real/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    spelt = [f"{tmp_path}/real", f"{tmp_path}/real/", f"file://{tmp_path}/link", f"{tmp_path}/real/deep/.."]
    stores = [client_for(Store("s", address)) for address in spelt]
    files = FSSpecBackend(key="s", fs=fsspec.filesystem("file"), prefix=f"{tmp_path}/link")
    registered = ObjectStoreClient("s", LocalStore(tmp_path / "real"))
    found: list[ObjectStoreClient | FsspecBackend] = [*stores, registered, FsspecBackend("s", files)]
    assert len({each.location() for each in found}) == 1
    assert {each.location("/deep/x") for each in found} == {stores[0].location("deep/x")}
    assert not locations.meet(stores[0].location("deep"), stores[0].location("deeper"))
    assert locations.meet(stores[0].location("deep"), stores[0].location())


def test_a_bucket_is_one_place_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT", raising=False)
    assert s3("s3://b/x") == s3("s3a://b/x/") == s3("https://s3.us-east-1.amazonaws.com/b/x", region="us-east-1")
    assert s3("s3://b/x", endpoint="http://localhost:9000") == s3("s3://b/x/", endpoint="http://127.0.0.1:9000/")
    assert s3("s3://b/x") != s3("s3://b/x", endpoint="https://minio.internal")
    assert s3("s3://b/x") != s3("s3://c/x")
    monkeypatch.setenv("AWS_ENDPOINT", "https://minio.internal")
    assert s3("s3://b/x") == s3("s3://b/x", endpoint="https://minio.internal")
    assert locations.meet(s3("s3://b"), s3("s3://b/x"))
    assert not locations.meet(s3("s3://b/x"), s3("s3://b/xy"))


def test_memory_is_a_place_of_its_own() -> None:
    store = Store("s", "memory://")
    assert client_for(store).location("a") == client_for(store).location("/a")
    assert (
        client_for(store).location()
        != client_for(replace(store)).location()
        != ObjectStoreClient("s", MemoryStore()).location()
    )


def test_names_that_a_file_system_takes_for_one_are_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "\u00c9", "e\u0301"
    assert len({locations.in_directory(tmp_path, name) for name in names}) == 2
    monkeypatch.setattr(locations, "ignores_case", lambda folder: True)
    assert len({locations.in_directory(tmp_path, name) for name in names}) == 1


def test_a_folder_says_whether_its_file_system_heeds_the_case_of_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/Name").mkdir()
    assert not locations.ignores_case(tmp_path / "one/absent/too")
    # A file system that does not is imitated by a link, of which the listing knows nothing.
    (tmp_path / "one/nAME").symlink_to("Name")
    monkeypatch.setattr(locations, "_TRIED", 1)
    locations.ignores_case.cache_clear()
    assert locations.ignores_case(tmp_path / "one/absent")
