"""Columns of an application may have any names, those that are used within as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.databases import execute
from toolkit.config import Config
from toolkit.operations.diff.compare import diff
from toolkit.operations.diff.script import diff_sql
from toolkit.operations.sync import sync
from toolkit.operations.transfer.options import Mode, Options

KEY = ("kind", "row", "c0", "s")
OTHERS = (
    "t",
    "k",
    "k0",
    "d",
    "digest",
    "toolkit_width",
    "toolkit_kind",
    "toolkit_digest",
    "value",
    "key",
    "n",
    "p",
    "rowid",
    "p0",
    "x",
    "__index_level_0__",
)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("postgres", "duckdb"), ("duckdb", "sqlite")])
def test_names_that_are_used_within_are_columns_as_others(
    config: Config, tmp_path: Path, source: str, target: str
) -> None:
    bare = replace(config, metadata="", migrations=tmp_path / "none")
    columns = ", ".join(f'"{name}" VARCHAR(20) NOT NULL' for name in (*KEY, *OTHERS))
    key = ", ".join(f'"{name}"' for name in KEY)
    rows = (", ".join(f"'{number}{name}'" for name in (*KEY, *OTHERS)) for number in range(5))
    execute(
        bare.database(source),
        f"CREATE TABLE t ({columns}, PRIMARY KEY ({key}))",
        *(f"INSERT INTO t VALUES ({row})" for row in rows),
    )
    assert sync(bare, source, target).verified
    execute(bare.database(source), "UPDATE t SET digest = 'other' WHERE kind = '1kind'", "DELETE FROM t WHERE s = '3s'")
    (found,) = diff(bare, source, target, rows=None).tables
    assert (found.changed, found.removed, [row.kind for row in found.rows]) == (1, 1, ["changed", "removed"])
    diff_sql(bare, source, target, tmp_path / "made.sql")
    assert (tmp_path / "made.sql").read_text().count("other") == 1
    planned = sync(bare, source, target, options=Options(mode=Mode.REPLACE), dry_run=True, rows=5)
    assert [row.kind for row in planned.tables[0].rows or ()] == ["changed", "removed"]
    done = sync(bare, source, target, options=Options(mode=Mode.REPLACE))
    assert ([(each.updated, each.deleted) for each in done.tables], done.verified) == ([(1, 1)], True)
