"""What `alchemy dump-data` of Advanced Alchemy writes, `toolkit load-data` reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from advanced_alchemy.types.file_object import storages
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.operations.databases import Rows, connected
from toolkit.config import Config, Database
from toolkit.models.todo import ATTACHMENTS_BACKEND, Attachment, metadata
from toolkit.operations.fixtures.load import load_data

ROOT = Path(__file__).parent.parent.parent
# Advanced Alchemy dumps the models of its own registry; the bundled ones are in one of their own.
_SETTINGS = """
from advanced_alchemy import base
from advanced_alchemy.config import AsyncSessionConfig, SQLAlchemyAsyncConfig
from advanced_alchemy.types.file_object import storages
from sqlalchemy import select
from sqlalchemy.orm import Session
from toolkit.models import todo

storages.register_backend("memory://", key=todo.ATTACHMENTS_BACKEND)
base.orm_registry = todo.Base.registry
base.metadata_registry.set(None, todo.metadata)
configs = [SQLAlchemyAsyncConfig(connection_string={url!r}, metadata=todo.metadata)]
"""


@pytest.fixture
def attachments() -> Iterator[None]:
    """A storage backend for the attachments of the models."""
    storages.register_backend("memory://", key=ATTACHMENTS_BACKEND)
    yield
    storages.unregister_backend(ATTACHMENTS_BACKEND)


def stored(database: Database) -> Rows:
    """All rows as they are stored, past the models' types, but for what Advanced Alchemy does not write of a file."""
    with connected(database) as connection:
        return {
            table.name: sorted(
                (
                    tuple(map(_plain, row))
                    for row in connection.exec_driver_sql(f'SELECT {_data_columns(table)} FROM "{table}"')
                ),
                key=repr,
            )
            for table in metadata.tables.values()
        }


def _data_columns(table: Any) -> str:
    return ", ".join(column.name for column in table.columns if column.name != "sa_orm_sentinel")


def _plain(value: Any) -> Any:
    if not (isinstance(value, str) and value.startswith("{")):
        return value
    document = json.loads(value)
    if "filename" in document:
        document |= {"metadata": {}, "checksum": None}
    return json.dumps(document, sort_keys=True)


@pytest.fixture
def dumped(config: Config, tmp_path: Path) -> Path:
    """The directory that the installed `alchemy dump-data` wrote from the bundled fixtures in SQLite."""
    source = config.database("sqlite")
    load_data(config, "sqlite")
    (tmp_path / "settings.py").write_text(_SETTINGS.format(url=f"sqlite+aiosqlite:///{source.file}"))
    command = shutil.which("alchemy", path=str(Path(sys.executable).parent))
    assert command is not None
    done = subprocess.run(
        [command, "--config", "settings.configs", "dump-data", "--table", "*", "--dir", "dumped"],
        cwd=tmp_path,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tmp_path / "dumped"


@pytest.mark.slow
def test_a_directory_that_alchemy_dumped_loads_into_every_engine_with_equal_rows(
    config: Config, dumped: Path, attachments: None
) -> None:
    assert {path.stem for path in dumped.glob("*.json")} == set(metadata.tables)
    theirs = replace(config, fixtures=dumped)
    result = load_data(theirs, "sqlite2")
    assert sum(table.inserted for table in result.tables) == 90
    assert stored(config.database("sqlite2")) == stored(config.database("sqlite"))
    for target in ("postgres", "duckdb"):
        load_data(theirs, target)
        ours = {table.table: table for table in load_data(config, target).tables}
        attached = ours.pop("attachment")
        # Two of the files have a metadata of their own.
        assert (attached.inserted, attached.updated, attached.unchanged) == (0, 2, 3)
        assert sum(table.unchanged for table in ours.values()) == 85
    with connected(config.database("sqlite2")) as connection, Session(connection) as session:
        found = session.scalars(select(Attachment).where(Attachment.name == "design.pdf")).one()
        assert (found.file.path, found.file.size) == ("2024/02/design.pdf", 1686)
