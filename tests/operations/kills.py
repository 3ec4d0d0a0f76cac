"""Processes that are killed at moments spread over their run, and what they leave."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.operations.databases import connected, postgres
from tests.operations.processes import Toolkit
from toolkit.config import Config, Database


def project_of(config: Config, directory: Path) -> Path:
    """A directory in which the command line finds this configuration, with a place for temporary files."""
    lines = [f'{key} = "{getattr(config, key)}"' for key in ("metadata", "migrations", "fixtures")]
    for name, database in config.databases.items():
        lines += [f"[databases.{name}]", f'url = "{database.address}"']
    (directory / "toolkit.toml").write_text("\n".join(lines))
    (directory / "temporary").mkdir()
    return directory


def kill_often(start: Callable[[], Toolkit], look: Callable[[], Any], reset: Callable[[], None], kills: int) -> None:
    """Kill so many runs, early and late: what `look` sees is as before or as after, and the next run completes it.

    What a killed run leaves is where the next one begins; `reset` takes back what one has done.
    """
    before, killed = look(), 0
    # The first loads what all have in common.
    for _ in range(2):
        began = time.monotonic()
        whole = start()
        assert whole.end() == 0, whole.err
        usual, after = time.monotonic() - began, look()
        reset()
    assert before != after
    for number in range(kills):
        running = start()
        time.sleep(usual * (number + 0.5) / kills)
        running.process.kill()
        if running.end() == -signal.SIGKILL:
            killed += 1
        else:
            usual *= 0.8
        found = look()
        assert found in (before, after)
        if found == after:
            reset()
    assert killed
    last = start()
    assert last.end() == 0, last.err
    assert look() == after


def everything_in(database: Database) -> dict[str, Any]:
    """Each table with its columns, indexes and rows."""
    with connected(database) as connection:
        look = sa.inspect(connection)
        return {
            name: (
                [(column["name"], str(column["type"])) for column in look.get_columns(name)],
                sorted(str(index["name"]) for index in look.get_indexes(name)),
                sorted(map(repr, connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))))),
            )
            for name in look.get_table_names()
        }


def left_behind(config: Config, project: Path, target: str, known: set[str]) -> list[str]:
    """Files, relations, locks and sessions that nobody asked for."""
    known = {"one.sqlite3", "two.sqlite3", "one.duckdb", "toolkit.toml", "temporary", *known}
    # A file of a turn that was never given back is empty, and whoever comes next takes it over.
    left = [str(path) for path in (project / "temporary").rglob("*") if path.is_file()]
    left += [path.name for path in project.iterdir() if path.name not in known and not path.name.startswith("process")]
    if target == "postgres":
        with postgres(config) as connection:
            found = connection.execute(
                "SELECT relname FROM pg_class WHERE relname LIKE 'toolkit%' UNION ALL "
                "SELECT 'lock of ' || pid FROM pg_locks WHERE locktype = 'advisory' UNION ALL "
                "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            ).fetchall()
            left += [name for (name,) in found]
    return left


def wait_for_the_server(config: Config) -> None:
    """Until PostgreSQL has seen that its client is gone and has let go of its lock."""
    with postgres(config) as connection:
        connection.execute("SELECT pg_advisory_lock(x'746f6f6c6b6974'::bigint)")
