"""An empty table of a lake filled by workers: one commit that names what was read back, or none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from deltalake import DeltaTable

from tests.operations.parted import ROWS, SPEC, fill, only
from toolkit.config import Config, Database
from toolkit.core.digest import TableDigest
from toolkit.engines import connect
from toolkit.engines.delta.connection import LakeConnection
from toolkit.engines.delta.tables import LakeTable
from toolkit.errors import ContentionError, PartFailedError, RunError, ToolkitError, VerificationError
from toolkit.executors.contract import done, task
from toolkit.operations.diff.compare import diff
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts

WORKERS = WorkerOptions("local:2", part_bytes=60_000)


@pytest.fixture
def two(config: Config, tmp_path: Path) -> Config:
    """A full table of PostgreSQL, and a lake without any."""
    lake = Database("lake", f"delta+file://{tmp_path}/lake")
    found = replace(only(config), databases={**config.databases, "lake": lake})
    fill(found.database("postgres"))
    return found


def load(config: Config, **options: Any) -> Any:
    return load_in_parts(config, "postgres", "lake", "item", options.pop("workers", WORKERS), **options)


def digest(config: Config, name: str) -> TableDigest:
    with connect(config.database(name)) as connection:
        return connection.repository(SPEC).digest()


def folder(config: Config) -> Path:
    return Path(config.database("lake").place) / "item"


def files(config: Config) -> set[str]:
    return {each.name for each in folder(config).glob("*.parquet")}


def named(config: Config) -> set[str]:
    """The files that the table's last version has."""
    return {Path(each).name for each in DeltaTable(folder(config)).file_uris()}


class Here:
    """An executor of this process, so that what parts do can be spoilt; `meanwhile` is done before the last."""

    workers, is_local = 1, True

    def __init__(self, context: Any, meanwhile: Callable[[], None]) -> None:
        self._context, self._meanwhile = context, meanwhile

    def receipts(self, work: Any, parts: Iterable[Any], in_flight: int) -> Generator[Any, None, None]:
        for part in parts:
            yield done(task(work, part), self._context).result(part)
        self._meanwhile()


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let parts be done in this process."""

    def use(meanwhile: Callable[[], None] = lambda: None) -> None:
        @contextmanager
        def opened(address: str, context: Any = None, **_: Any) -> Iterator[Here]:
            yield Here(context, meanwhile)

        monkeypatch.setattr("toolkit.operations.parts.crew.open_executor", opened)

    return use


def test_the_files_of_all_workers_are_committed_once_with_the_digest_of_what_the_source_has(two: Config) -> None:
    result = load(two)
    assert (result.verified, result.tables[0].inserted, result.created_schema) == (True, ROWS, True)
    table = DeltaTable(folder(two))
    assert (table.version(), table.transaction_version("toolkit")) == (1, 1)
    assert len(files(two)) > 3
    assert named(two) == files(two)
    assert all(each is not None for each in table.get_add_actions(flatten=True).column("min.id").to_pylist())
    source = digest(two, "postgres")
    with connect(two.database("lake")) as lake:
        assert isinstance(lake, LakeConnection)
        told = lake.lake.table("item").base
        assert told is not None
        assert (told.receipt["rows"], told.receipt["total"]) == (ROWS, f"{source.total:016x}")
        assert "segments" in told.receipt
    assert diff(two, "postgres", "lake").equal
