"""The README's example of what `toolkit inspect` tells, by the command itself."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import chdir, closing

from click.testing import CliRunner

from toolkit.cli import toolkit

_APPLICATION = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT, email VARCHAR(20) NOT NULL UNIQUE, plan TEXT COLLATE NOCASE DEFAULT "free",
    is_admin tinyint(1), balance DECIMAL(10, 2), seen DATETIME, settings JSON, CHECK (plan <> '')
);
CREATE TABLE note (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account (id), body TEXT, mark);
CREATE INDEX note_recent ON note (id DESC) WHERE mark IS NOT NULL;
CREATE VIEW open_notes AS SELECT * FROM note WHERE mark IS NULL;
INSERT INTO account VALUES
    (1, 'ann@example.org', 'free', 1, 12.5, '2024-05-06 07:08:09+02:00', '{"a": 1}'),
    (2, 'somebody.else@example.org', 'Pro', 0, 99999.125, '2024-05-07 08:09:10', NULL);
INSERT INTO note VALUES (1, 1, 'call back', 3), (2, 2, 'a' || char(0) || 'b', NULL), (3, 7, 'lost', 0.5);
"""
COMMAND = "inspect sqlite:///app.sqlite --for postgres"


def inspect_example() -> str:
    """The command and its output, as it stands in the README."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        with closing(sqlite3.connect("app.sqlite")) as file:
            file.executescript(_APPLICATION)
        result = CliRunner().invoke(toolkit, COMMAND.split(), prog_name="toolkit", env={**os.environ})
    assert result.exit_code == 0, result.output
    return f"```text\n$ toolkit {COMMAND}\n{result.stdout.rstrip()}\n```\n"
