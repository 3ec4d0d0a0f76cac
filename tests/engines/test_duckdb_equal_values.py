"""Between two files of DuckDB's, values change into others that DuckDB takes for equal, also within a STRUCT."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from toolkit.config import Config, load_config
from toolkit.errors import RefusedRowError
from toolkit.operations.diff.compare import diff
from toolkit.operations.sync import sync

_OTHERS = {"ZERO": ("'0.0'", "'-0.0'"), "SPAN": ("INTERVAL '1 month'", "INTERVAL '30 days'")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("STRUCT(a DOUBLE, b INTEGER)", "{'a': ZERO, 'b': 1}"),
        ("STRUCT(b ENUM('x, (', 'y'), a FLOAT) NOT NULL", "{'b': 'y', 'a': ZERO}"),
        ('STRUCT("a, ""(" STRUCT(x DOUBLE, "y z" INTERVAL), b DECIMAL(9,2))', "ROW({'x': ZERO, 'y z': SPAN}, 5)"),
        ("STRUCT(a STRUCT(x DOUBLE), b DOUBLE)", "{'a': NULL, 'b': ZERO}"),
        ("STRUCT(a DOUBLE[], b DOUBLE)", "{'a': [ZERO], 'b': ZERO}"),
        ("DOUBLE[]", "[ZERO]"),
        ("MAP(VARCHAR, INTERVAL)", "MAP {'a': SPAN}"),
    ],
)
@pytest.mark.parametrize("is_referenced", [False, True])
def test_a_value_within_another_changes_into_one_that_is_equal(
    tmp_path: Path, type_: str, value: str, is_referenced: bool
) -> None:
    config = _two(tmp_path, type_, value, is_referenced=is_referenced)
    if is_referenced and re.search(r"MAP|\[", type_):
        # It is DuckDB that cannot.
        with pytest.raises(RefusedRowError, match="others point at it, and DuckDB deletes such a row") as caught:
            sync(config, "one", "two")
        assert "--exclude-column t.v" in caught.value.advice
        assert sync(config, "one", "two", exclude_columns=["t.v"]).verified
        return
    assert sync(config, "one", "two").verified
    assert diff(config, "one", "two").equal


def _two(tmp_path: Path, type_: str, value: str, *, is_referenced: bool) -> Config:
    for place, name in enumerate(("one", "two")):
        stored = value
        for word, texts in _OTHERS.items():
            stored = stored.replace(word, texts[place])
        with duckdb.connect(tmp_path / f"{name}.duckdb") as connection:
            connection.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v {type_})")
            connection.execute(f"INSERT INTO t VALUES (1, 1, {stored}), (2, {place}, {stored})")
            if is_referenced:
                connection.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t (id))")
                connection.execute("INSERT INTO c VALUES (1, 1), (2, 2)")
    environ = {f"TOOLKIT_{name.upper()}_URL": f"duckdb:///{name}.duckdb" for name in ("one", "two")}
    return load_config(tmp_path, environ, "")
