"""A sync by workers to which something happens at a certain moment, and what has become of the target's rows then."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any

import psycopg

from tests.operations.parted import SPEC
from toolkit.config import Config
from toolkit.core.digest import TableDigest
from toolkit.engines import connect
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts

PART_BYTES = 120_000
_SECONDS = 180
_SCRIPT = """
from pathlib import Path
from toolkit.config import Config, Database
from toolkit.executors import local
from toolkit.operations.parts.crew import WorkerOptions
from toolkit.operations.parts.loading import load_in_parts
local.PATIENCE = 2.0
databases = {name: Database(name, address) for name, address in %r}
workers = WorkerOptions(%r, part_bytes=%r)
load_in_parts(Config(Path(), databases), "postgres", "other", "item", workers)
"""


def digest(config: Config, name: str) -> TableDigest:
    """That of the table."""
    with connect(config.database(name)) as connection:
        return connection.repository(SPEC).digest()


def half_filled(config: Config) -> None:
    """A target with half of the rows, none of them equal, and nothing that an earlier run has left."""
    with psycopg.connect(config.database("other").address, autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT relname FROM pg_class WHERE relname LIKE 'toolkit\\_run\\_%'"
        ).fetchall():
            connection.execute(f"DROP TABLE IF EXISTS {name}".encode())
        connection.execute("TRUNCATE item")
    with psycopg.connect(config.database("postgres").address) as source:
        keys = [row[0] for row in source.execute("SELECT id FROM item WHERE id % 2 = 0").fetchall()]
    with psycopg.connect(config.database("other").address, autocommit=True) as connection:
        connection.execute("INSERT INTO item SELECT unnest(%s::bigint[]), 'other', -1", (keys,))


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it: whether all rows were there at once, or none and all when the run was taken up."""

    was_exact: bool
    """Else all was as before, and exact after --resume."""
    failed: bool
    """Whether the command ended with an error."""


class Coordinator:
    """The command, in a process of its own."""

    def __init__(self, config: Config, address: str) -> None:
        self._config = config
        databases = [(name, config.database(name).address) for name in ("postgres", "other")]
        script = _SCRIPT % (databases, address, PART_BYTES)
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def wait_for(self, share: float) -> bool:
        """Until so large a share of the parts is in the ledger; whether that was seen before it was done."""
        with psycopg.connect(self._config.database("other").address, autocommit=True) as connection:
            until = time.monotonic() + _SECONDS
            while self.process.poll() is None:
                if time.monotonic() > until:
                    self.process.kill()
                    raise AssertionError(self.process.communicate()[0].decode())
                parts, written = ledger(connection)
                if parts and written >= ceil(share * parts):
                    return True
                time.sleep(0.002)
        return False

    def ended(self) -> int:
        """Its exit code, waited for."""
        try:
            self.output, _ = self.process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output, _ = self.process.communicate()
            raise AssertionError(self.output.decode()) from None
        return self.process.returncode


def ledger(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """How many parts the run has, and how many are written."""
    with suppress(psycopg.errors.UndefinedTable):
        for run in runs(connection):
            row = connection.execute(f"SELECT count(*), count(rows) FROM toolkit_run_{run}_parts".encode()).fetchone()
            assert row is not None
            return int(row[0]), int(row[1])
    return 0, 0


def runs(connection: psycopg.Connection[Any]) -> list[str]:
    """The runs that are under way, or were interrupted."""
    rows = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'toolkit\\_run\\_%parts'").fetchall()
    return [str(row[0]).split("_")[2] for row in rows]


def tried(
    config: Config, address: str, share: float, happens: Callable[[Coordinator], None], later: Callable[[], None]
) -> Found | None:
    """Let something happen when so large a share of the parts is written, and `later` when the command has ended.

    None if the command was done before. Fails unless all rows are exact, or all as before and exact once it was taken
    up again.
    """
    half_filled(config)
    before, wanted = digest(config, "other"), digest(config, "postgres")
    assert before != wanted
    coordinator = Coordinator(config, address)
    if not coordinator.wait_for(share):
        assert coordinator.ended() == 0, coordinator.output.decode()
        return None
    happens(coordinator)
    failed = coordinator.ended() != 0
    at_once = digest(config, "other")
    later()
    found = digest(config, "other")
    assert found in (before, wanted), f"{found} is neither {before} nor {wanted}\n{coordinator.output.decode()}"
    assert at_once == found or failed, "it was told to be done, and was not"
    with psycopg.connect(config.database("other").address, autocommit=True) as connection:
        left = runs(connection)
    if found == before:
        assert failed, coordinator.output.decode()
        (run,) = left
    for run in left:
        load_in_parts(config, "postgres", "other", "item", WorkerOptions("local:2", part_bytes=PART_BYTES), resume=run)
    assert digest(config, "other") == wanted
    return Found(found == wanted, failed)
