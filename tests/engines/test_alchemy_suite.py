"""SQLAlchemy's own tests of dialects, over that of DuckDB."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

FOLDER = Path(__file__).parent / "alchemy_suite"
# Beside what requirements.py leaves out: parts of the names of tests, and why DuckDB does not pass them.
LEFT_OUT = {
    "ComponentReflectionTest_ and test_get_multi": "SQLAlchemy's own loop over what is asked of one table, 600 times",
    "BizarroCharacterTest": "reads foreign keys back, which are not made",
    "CompositeKeyReflectionTest and test_fk_column_order": "reads foreign keys back",
    "QuotedNameArgumentTest and test_get_foreign_keys": "reads foreign keys back",
    "test_string_length_reflection": "DuckDB's VARCHAR has no length",
    "test_no_results_for_non_returning_insert": "DuckDB answers an INSERT with the number of its rows, as a row",
    "DistinctOnTest": "DuckDB has DISTINCT ON, so that nothing warns of it",
    "test_long_convention_name and pk": "DuckDB names a primary key itself",
    "test_truediv_divisor and numeric_38_digit_divisor": "DuckDB divides decimals as DOUBLE",
    "test_truediv_numeric": "DuckDB divides decimals as DOUBLE",
}


@pytest.mark.slow
@pytest.mark.long
def test_the_dialect_of_duckdb_passes_the_suite_of_sqlalchemy(tmp_path: Path) -> None:
    file = tmp_path / "suite.duckdb"
    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA test_schema")
    # In a process of its own: the suite's plugin for pytest changes how everything is collected.
    arguments: list[str | Path] = ["-c", FOLDER / "setup.cfg", "--rootdir", FOLDER, "--noconftest"]
    arguments += ["-p", "tests.engines.alchemy_suite.plugin"]
    unused = ("toolkit", "xdist", "cacheprovider", "hypothesispytest", "faker", "anyio")
    arguments += ["--assert=plain", *(word for name in unused for word in ("-p", f"no:{name}"))]
    arguments += ["-k", " and ".join(f"not ({part})" for part in LEFT_OUT), "--dburi", f"duckdb+toolkit:///{file}"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "-q", "--tb=line", "--maxfail=1000", FOLDER / "suite.py"],
        cwd=FOLDER.parents[2],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    assert (failed, ran.returncode) == ([], 0), ran.stdout[-3000:] + ran.stderr[-1000:]
    passed = next(int(words[n - 1]) for words in [ran.stdout.split()] for n, w in enumerate(words) if w == "passed,")
    assert passed > 300
