"""Standard streams that are closed, full or left by their reader, and no room for temporary files."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from toolkit.cli import run
from toolkit.cli.output import let_libraries_through, report, say, telling_stream
from toolkit.compute.scratch import scratch_directory
from toolkit.errors import ConfigurationError, LostOutputError, TemporaryFilesError

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text))
"""
LOST = "standard output cannot be written to"
WRITTEN = f"Error: The rows are written to b.db and committed; only the report is lost: {LOST}"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a database of one row."""
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "toolkit.toml").write_text('metadata = "models:metadata"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with closing(sqlite3.connect("a.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'x')")
        connection.commit()
    return tmp_path


def rows(file: str) -> list[tuple[int, str]]:
    """What is in a file that nothing else was written into."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT * FROM t").fetchall()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "code", "told"),
    [
        ("2>/dev/full", 0, None),
        ("<&- >&-", 1, f"{WRITTEN} (Bad file descriptor)."),
        (">/dev/full 2>&-", 1, None),
    ],
)
def test_a_closed_or_full_stream_stops_no_work(streams: str, code: int, told: str | None) -> None:
    sync = f"{sys.executable} -m toolkit sync --from sqlite:///a.db --to sqlite:///b.db {streams}"
    ended = subprocess.run(["sh", "-c", sync], check=False, capture_output=True, text=True, timeout=100)
    assert ended.returncode == code
    assert rows("b.db") == [(1, "x")]
    if told is None:
        assert ended.stderr == ""
    else:
        assert told in ended.stderr.splitlines()
        assert "report it" not in ended.stderr


def test_whoever_reads_a_part_of_a_report_is_told_of_what_was_written_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for arguments, told in (
        (["status"], ""),
        (["--help"], ""),
        (["diff", "--from", "sqlite:///a.db", "--to", "sqlite:///a2.db"], ""),
        (["sync", "--from", "sqlite:///a.db", "--to", "sqlite:///b.db", "--json"], f"{WRITTEN} (Broken pipe)."),
    ):
        Path("a2.db").write_bytes(Path("a.db").read_bytes())
        monkeypatch.setattr(sys, "stdout", telling_stream(writing, None))
        assert run(arguments) == 1
        assert told in capfd.readouterr().err.split("\n")
        monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    os.close(writing)


def test_what_goes_past_the_gate_for_output_is_told_as_lost_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # A help page is printed by click, a script as bytes.
    script = ["diff", "--from", "sqlite:///a.db", "--to", "sqlite:///b.db", "--sql", "-"]
    assert run(["sync", "--from", "sqlite:///a.db", "--to", "sqlite:///b.db"]) == 0
    with closing(sqlite3.connect("b.db")) as connection:
        connection.execute("DELETE FROM t")
        connection.commit()
    capfd.readouterr()
    full = os.open("/dev/full", os.O_WRONLY)
    for arguments in (["--help"], script):
        monkeypatch.setattr(sys, "stdout", telling_stream(full, None))
        assert run(arguments) == 1
        assert f"The output is not whole: {LOST} (No space left" in capfd.readouterr().err
        monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    os.close(full)


def test_a_dry_run_whose_report_is_lost_has_written_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(sys, "stdout", telling_stream(full, None))
    with pytest.raises(LostOutputError, match="The output is not whole"):
        report({}, say, as_json=True)
    monkeypatch.setattr(sys, "stdout", telling_stream(full, None))
    with pytest.raises(LostOutputError, match=r"^It is done; only the report is lost"):
        report({}, say, as_json=False, done="It is done")
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    os.close(full)


def test_what_libraries_say_of_a_connection_that_broke_is_not_shown(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in (
        (logging, "lastResort"),
        (warnings, "showwarning"),
        (threading, "excepthook"),
        (sys, "unraisablehook"),
    ):
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    let_libraries_through()
    for name in ("sqlalchemy.pool", "sqlalchemy.pool.impl.QueuePool", "psycopg", "psycopg.pool"):
        logging.getLogger(name).error("Exception during reset or similar")
    assert capfd.readouterr().err == ""


def test_temporary_files_are_not_where_a_database_could_not_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a?b").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a?b"))
    with pytest.raises(ConfigurationError, match=r"cannot be in .*a\?b") as told, scratch_directory():
        pass
    assert "TMPDIR" in told.value.advice


def test_no_room_for_temporary_files_is_told_as_that() -> None:
    def write() -> None:
        with scratch_directory(), Path("/dev/full").open("w") as file:
            file.write("x")

    def offload() -> None:
        settings: dict[str, str | int] = {"memory_limit": "8MB", "threads": 1, "max_temp_directory_size": "0KB"}
        with scratch_directory() as directory:
            connection = duckdb.connect(config={**settings, "temp_directory": str(directory)})
            connection.execute("CREATE TABLE t AS SELECT md5(i::text) AS a FROM range(300_000) AS n(i)").fetchall()

    for full, reason in ((write, "No space left"), (offload, "failed to offload")):
        with pytest.raises(TemporaryFilesError, match=f"no room for temporary files in .*: .*{reason}") as told:
            full()
        assert "TMPDIR" in told.value.advice
    for other in (OSError(errno.EACCES, "no"), ValueError("no")):
        with pytest.raises(type(other)), scratch_directory():
            raise other
