"""Memory is bounded by bytes: large texts are copied, dumped and loaded few at a time."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.operations.databases import connected, execute
from tests.operations.processes import toolkit
from toolkit.config import Config
from toolkit.core.digest import digest_batches
from toolkit.core.problems import Problems
from toolkit.core.tables import select_tables
from toolkit.operations.transfer import background_digest as digesting
from toolkit.operations.transfer.background_digest import BackgroundDigest
from toolkit.stores.fixture_files import FileForm, Format
from toolkit.stores.fixture_reader import FixtureReader

METADATA = sa.MetaData()
sa.Table("page", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))
ROWS, TEXT = 20, 5_000_000
_SIZE = ROWS * TEXT >> 20
# A process that has everything loaded takes 200 MB of this. How much is read ahead of what is written depends on the
# machine and its load: from PostgreSQL into SQLite 380 to 455 MB were seen.
MOST = 500
# DuckDB itself holds a vector of 2,048 rows, five times over as it commits them.
MOST_WITH_DUCKDB = 250 + 6 * _SIZE


@pytest.fixture
def project(tmp_path: Path, config: Config) -> Path:
    """A project with large texts in its SQLite database."""
    lines = ['metadata = "tests.operations.test_memory:METADATA"', 'migrations = "none"']
    for name, database in config.databases.items():
        lines += [f"[databases.{name}]", f'url = "{database.address}"']
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "toolkit.toml").write_text("\n".join(lines))
    with connected(config.database("sqlite")) as connection:
        METADATA.create_all(connection)
    filling = f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT {ROWS}) "
    text = f"substr(replace(hex(zeroblob({TEXT // 8})), '00', 'text' || n), 1, {TEXT})"
    execute(config.database("sqlite"), f"INSERT INTO page {filling} SELECT n, {text} FROM n")
    return folder


def peak(project: Path, *arguments: str) -> int:
    """The most memory that a command takes, in MB."""
    done = toolkit(project, *arguments, before=_tell_peak)
    assert done.end(300) == 0, done.err
    return int(done.err.rpartition("peak")[2])


def _tell_peak() -> None:
    end = os._exit

    def tell(code: int) -> None:
        # The most since this program began; what `getrusage` says may be its parent's.
        found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        assert found is not None
        os.write(2, f"peak {int(found[1]) >> 10}".encode())
        end(code)

    setattr(os, "_exit", tell)  # noqa: B010 - typed as what never returns


@pytest.mark.slow
def test_large_texts_go_everywhere_in_bounded_memory(project: Path) -> None:
    assert peak(project, "sync", "--from", "sqlite", "--to", "postgres") < MOST
    assert peak(project, "sync", "--from", "postgres", "--to", "sqlite2") < MOST
    assert peak(project, "dump-data", "--from", "sqlite2", "--dir", "files") < MOST
    (project.parent / "two.sqlite3").unlink()
    assert peak(project, "load-data", "--to", "sqlite2", "--dir", "files") < MOST
    assert peak(project, "sync", "--from", "sqlite", "--to", "duckdb") < MOST_WITH_DUCKDB


def test_a_file_of_wide_rows_is_read_in_small_batches() -> None:
    (spec,) = select_tables(METADATA)
    lines = [b'{"id": %d, "body": "%s"}\n' % (number, b"x" * 1_000_000) for number in range(20)]
    reader = FixtureReader(spec, "page.jsonl", Problems())
    batches = list(reader.batches(iter(lines), FileForm(Format.JSONL)))
    assert sum(batch.num_rows for batch in batches) == 20
    assert max(batch.nbytes for batch in batches) <= 8 << 20


def test_batches_that_wait_for_their_digest_wait_on_disk_from_so_many_bytes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    (spec,) = select_tables(METADATA)
    batches = [pa.record_batch([pa.array([n], pa.int32()), ["x" * n]], schema=spec.schema) for n in range(50)]
    for most in (0, 100, 1 << 20):
        monkeypatch.setattr(digesting, "_IN_MEMORY", most)
        with BackgroundDigest(spec, as_stored=False) as digest:
            for batch in batches:
                digest.add(batch)
            assert digest.result() == digest_batches(spec, batches)
