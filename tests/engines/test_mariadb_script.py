"""`diff --sql` for MariaDB: after its own client has run the script, nothing differs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.contracts import schema
from tests.contracts.test_matrix import exact, read, write
from tests.operations.clients import run_script
from tests.operations.databases import create, execute
from tests.operations.test_diff_sql import AWKWARD, as_rows, made_equal, notes
from tests.servers import mariadb as server
from toolkit.config import Config, Database
from toolkit.core.tables import select_tables
from toolkit.core.types import JSON_KINDS
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql

tree = sa.MetaData()
sa.Table(
    "node",
    tree,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent", sa.ForeignKey("node.id", ondelete="CASCADE")),
    sa.Column("name", sa.String(9), unique=True),
    sa.Column("seen", sa.DateTime),
)


@pytest.fixture
def config(config: Config, mariadb_url: str, tmp_path: Path) -> Config:
    """A configuration of MariaDB beside the others."""
    named = {**config.databases, "mariadb": Database("mariadb", mariadb_url, tmp_path)}
    return replace(config, databases=named, migrations=Path("none"))


@pytest.mark.slow
def test_every_value_is_written_exactly(config: Config, tmp_path: Path) -> None:
    spec, batch = schema.spec(), schema.batch(only_numbers=True)
    config = replace(config, metadata="tests.contracts.schema:metadata")
    rows = batch.num_rows // 2
    moved = [batch.column(0)[:rows], *(column.slice(1, rows) for column in batch.columns[1:])]
    gone = [pa.array([uuid.UUID(int=1).bytes], pa.binary(16)), *(column.slice(0, 1) for column in batch.columns[1:])]
    write(config, "sqlite", spec, batch)
    write(
        config,
        "mariadb",
        spec,
        pa.concat_batches([pa.record_batch(part, schema=spec.schema) for part in (moved, gone)]),
    )
    made_equal(config, "mariadb", tmp_path / "script.sql", "sqlite")
    expected, arrived = (read(config, name, spec) for name in ("sqlite", "mariadb"))
    for column in spec.columns:
        if column.type.kind not in JSON_KINDS:
            assert exact(arrived.column(column.name)) == exact(expected.column(column.name)), column.name


def test_any_text_passes_through_the_client(config: Config, tmp_path: Path) -> None:
    config = replace(config, metadata="tests.operations.test_diff_sql:notes")
    (spec,) = select_tables(notes)
    write(config, "sqlite", spec, as_rows([*AWKWARD, "delimiter ;", "\x00\\0"]))
    write(config, "mariadb", spec, as_rows(["\n"] * 10))
    made_equal(config, "mariadb", tmp_path / "script.sql", "sqlite")


@pytest.fixture
def nodes(config: Config) -> Config:
    """Rows that point at others of their table in both databases; MariaDB's has a moment that moves with updates."""
    config = replace(config, metadata=f"{__name__}:tree")
    for name in ("sqlite", "mariadb"):
        create(config.database(name), tree)
        execute(config.database(name), "INSERT INTO node (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    server.run(
        config.database("mariadb").address,
        "ALTER TABLE node ADD moved DATETIME NOT NULL DEFAULT '2000-01-01' ON UPDATE CURRENT_TIMESTAMP",
    )
    execute(
        config.database("sqlite"),
        "UPDATE node SET name = 'x' WHERE id = 1",
        "UPDATE node SET name = 'a', parent = 4 WHERE id = 2",
        "DELETE FROM node WHERE id = 3",
        "INSERT INTO node (id, parent, name) VALUES (4, 4, 'c')",
    )
    return config


def _state(config: Config) -> list[tuple[object, ...]]:
    return server.run(config.database("mariadb").address, "SELECT id, parent, name, year(moved) FROM node ORDER BY id")


def test_values_change_places_parents_come_later_and_no_moment_moves(nodes: Config, tmp_path: Path) -> None:
    made_equal(nodes, "mariadb", tmp_path / "script.sql", "sqlite")
    assert _state(nodes) == [(1, None, "x", 2000), (2, 4, "a", 2000), (4, 4, "c", 2000)]


@pytest.mark.parametrize(
    ("meanwhile", "told"),
    [
        (lambda run: run("DELETE FROM node WHERE id = 3"), "the target has changed since"),
        (lambda run: run("INSERT INTO node (id, parent, name) VALUES (9, NULL, 'c9')"), "the target has changed since"),
        (
            lambda run: run("SET foreign_key_checks = 0", "UPDATE node SET parent = 3 WHERE id = 1"),
            "a row points at one that is not there",
        ),
    ],
)
def test_what_changed_meanwhile_is_refused_by_the_client_and_nothing_is_done(
    nodes: Config, tmp_path: Path, meanwhile: Callable[[Callable[..., object]], object], told: str
) -> None:
    script = tmp_path / "script.sql"
    diff_sql(nodes, "sqlite", "mariadb", script)
    address = nodes.database("mariadb").address
    meanwhile(lambda *statements: server.run(address, *statements))
    before = _state(nodes)
    ran = run_script(nodes.database("mariadb"), script)
    assert ran.returncode
    assert f"CONSTRAINT `{told}` failed" in ran.stderr
    assert _state(nodes) == before
    assert not diff(nodes, "sqlite", "mariadb").equal
