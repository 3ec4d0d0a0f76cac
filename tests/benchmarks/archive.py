"""Files of a directory into S3: the archive beside obstore alone with the same threads and hashes."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tests.benchmarks.contenders import Contender, Samples, Stage, require
from tests.benchmarks.machine import TOOLKIT, measure, wait_until_quiet
from tests.servers import swift
from tests.servers.swift import S3Server

THREADS = 8
KIB, MIB = 1 << 10, 1 << 20
STARTED = ", without the start of its process"
_BUCKET = "benchmark"
_AT = "2020-01-02 03:04:05.678901"
_OLD = 1_600_000_000
_TABLE = (
    "CREATE TABLE photo (id INTEGER PRIMARY KEY, title TEXT, file JSON, created_at DATETIME, updated_at DATETIME)",
    "CREATE TABLE album (owner VARCHAR(50), number INTEGER, files JSON, PRIMARY KEY (owner, number))",
    "CREATE TABLE note (id INTEGER PRIMARY KEY)",
)
_OBSTORE = Path(__file__).with_name("obstore_copy.py")


@dataclass(frozen=True, slots=True)
class Files:
    """So many files of random content: one for each so many rows of the stage."""

    name: str
    bytes: int
    todos_each: int

    def count(self, stage: Stage) -> int:
        """How many of them."""
        return max(1, stage.todos // self.todos_each)

    def directory(self, stage: Stage) -> Path:
        """Where they are; made once, long ago by their time, with a database of rows that point at them."""
        place = stage.directory / f"files-{self.name}-{stage.todos}"
        if not place.exists():
            place.mkdir()
            for number in range(self.count(stage)):
                file = place / f"{number % 100:02}" / f"{number}.bin"
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(os.urandom(self.bytes))
                os.utime(file, (_OLD, _OLD))
            self._make_rows(stage, place)
        return place

    def database(self, stage: Stage) -> Path:
        """The rows."""
        return stage.directory / f"files-{self.name}-{stage.todos}.sqlite3"

    def _make_rows(self, stage: Stage, place: Path) -> None:
        rows = []
        for number, file in enumerate(sorted(path for path in place.rglob("*") if path.is_file())):
            reference = {"filename": str(file.relative_to(place)), "backend": "attachments", "size": self.bytes}
            rows.append((number, "", json.dumps(reference), _AT, _AT))
        with closing(sqlite3.connect(self.database(stage))) as connection:
            for statement in _TABLE:
                connection.execute(statement)
            connection.executemany("INSERT INTO photo VALUES (?, ?, ?, ?, ?)", rows)
            connection.commit()


SMALL, LARGE = Files("small", 4 * KIB, 1), Files("large", 50 * MIB, 100)


def toolkit_push(files: Files) -> Contender:
    """A first push, and a second with nothing new."""

    def run(stage: Stage) -> Samples:
        with _server(stage) as (server, processes):
            command = [
                *TOOLKIT,
                "--metadata",
                "tests.operations.gallery:metadata",
                "archive",
                "push",
                "--jobs",
                str(THREADS),
                "--json",
            ]
            environment = {
                "TOOLKIT_SQLITE_URL": f"sqlite:///{files.database(stage)}",
                "TOOLKIT_ATTACHMENTS_STORE": str(files.directory(stage)),
                "TOOLKIT_ARCHIVE_STORE": f"s3://{_BUCKET}",
                **server.environment,
            }
            for name, sent in (("toolkit archive push", files.count(stage)), ("push again", 0)):
                wait_until_quiet()
                sample, output = measure(command, processes, environment)
                result = json.loads(output)
                require((files.count(stage), sent, []), (result["files"], result["sent"], result["findings"]))
                yield name, sample
                yield f"{name}{STARTED}", replace(sample, seconds=result["seconds"])

    return Contender("toolkit archive push", run, is_ours=True)


def obstore_put(files: Files) -> Contender:
    """The same files, hashed and put by obstore alone."""

    def run(stage: Stage) -> Samples:
        with _server(stage) as (server, processes):
            directory = files.directory(stage)
            command = [sys.executable, str(_OBSTORE), str(directory), f"s3://{_BUCKET}", str(THREADS)]
            wait_until_quiet()
            sample, output = measure(command, processes, dict(server.environment))
            count, seconds = output.split()
            require(files.count(stage) * files.bytes, int(count))
            yield "obstore alone", sample
            yield f"obstore alone{STARTED}", replace(sample, seconds=float(seconds))

    return Contender("obstore alone", run)


@contextmanager
def _server(stage: Stage) -> Iterator[tuple[S3Server, list[psutil.Process]]]:
    """A new, empty store, and its processes: what they do is part of what is measured."""
    with tempfile.TemporaryDirectory(dir=stage.directory) as folder, swift.running(Path(folder) / "swift") as server:
        server.create_bucket(_BUCKET)
        own = [each for each in psutil.Process().children() if "swift" in " ".join(each.cmdline())]
        yield server, own
