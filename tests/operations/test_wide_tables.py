"""A table of more columns than engines take levels of one expression arrives, and so does a change of one value."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from toolkit.config import load_config
from toolkit.errors import ToolkitError
from toolkit.operations.sync import sync

# An expression has a thousand levels at most in SQLite and in DuckDB.
COLUMNS = 1_050


@pytest.mark.slow
def test_a_table_of_more_than_a_thousand_columns_is_copied_and_updated(tmp_path: Path) -> None:
    first = f"sqlite:///{tmp_path}/first.db"
    config = load_config(
        tmp_path,
        {
            "TOOLKIT_FIRST_URL": first,
            "TOOLKIT_BETWEEN_URL": f"duckdb:///{tmp_path}/between.duckdb",
            "TOOLKIT_LAST_URL": f"sqlite:///{tmp_path}/last.db",
        },
    )
    engine = sa.create_engine(first)
    with engine.begin() as connection:
        columns = ", ".join(f"c{number} TEXT" for number in range(COLUMNS - 1))
        connection.exec_driver_sql(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {columns})")
        connection.exec_driver_sql("INSERT INTO wide (id, c0, c1040) VALUES (1, 'a', 'b'), (2, 'a', 'b')")
    for pair in (("first", "between"), ("between", "last")):
        (result,) = sync(config, *pair).tables
        assert (result.inserted, result.verified) == (2, True)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE wide SET c1040 = 'other' WHERE id = 1")
    engine.dispose()
    (result,) = sync(config, "first", "last").tables
    assert (result.updated, result.unchanged, result.verified) == (1, 1, True)


@pytest.mark.slow
def test_a_row_that_is_too_wide_for_a_page_of_postgresql_is_told(tmp_path: Path, postgres_url: str) -> None:
    first = f"sqlite:///{tmp_path}/first.db"
    engine = sa.create_engine(first)
    with engine.begin() as connection:
        names = [f"c{number}" for number in range(1_030)]
        connection.exec_driver_sql(
            f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {', '.join(f'{name} INTEGER' for name in names)})"
        )
        connection.exec_driver_sql("INSERT INTO wide (id, c0) VALUES (1, 1), (3, 1)")
        connection.exec_driver_sql(f"INSERT INTO wide VALUES (2, {', '.join('1' for _ in names)})")
    engine.dispose()
    config = load_config(tmp_path, {"TOOLKIT_FIRST_URL": first, "TOOLKIT_LAST_URL": postgres_url})
    with pytest.raises(ToolkitError, match=r"row is too big[^$]*--exclude-column"):
        sync(config, "first", "last")
