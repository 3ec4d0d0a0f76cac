"""The command line in processes of its own that start at once, so that they can be killed at every moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

# Loaded once, in a server from which each process is forked: a start takes milliseconds, not a second. What is missing
# is loaded by each process: numpy.ma and the dialect of DuckDB alone were half of the time of a sync of few rows.
_LOADED = [
    "toolkit.cli.archive",
    "toolkit.cli.database",
    "toolkit.cli.diff",
    "toolkit.cli.dump",
    "toolkit.cli.load",
    "toolkit.cli.render_archive",
    "toolkit.cli.render_status",
    "toolkit.cli.status",
    "toolkit.cli.sync",
    "toolkit.engines.postgresql.schema.definitions",
    "toolkit.operations.archive.audit",
    "toolkit.operations.archive.prune",
    "toolkit.operations.archive.push",
    "toolkit.operations.archive.restore",
    "toolkit.operations.archive.verify",
    "toolkit.operations.attachments",
    "toolkit.operations.diff.compare",
    "toolkit.operations.fixtures.dump",
    "toolkit.operations.fixtures.load",
    "toolkit.operations.fixtures.one_table",
    "toolkit.operations.inspect",
    "toolkit.operations.migrations.migrate",
    "toolkit.operations.migrations.model_tables",
    "toolkit.operations.parts.loading",
    "toolkit.operations.parts.staging",
    "toolkit.operations.reflection.reflection",
    "toolkit.operations.status",
    "toolkit.operations.sync",
    "toolkit.operations.transfer.made_constraints",
    "toolkit.operations.transfer.prepared",
    "toolkit.operations.transfer.rejecting",
    "toolkit.operations.transfer.watermarks",
    "toolkit.cli.render_inspect",
    "toolkit.engines.delta.connection",
    "toolkit.engines.delta.engine",
    "toolkit.engines.duckdb.connection",
    "toolkit.engines.duckdb.engine",
    "toolkit.engines.duckdb.alembic",
    "toolkit.engines.duckdb.dialect",
    "toolkit.engines.postgresql.connection",
    "toolkit.engines.postgresql.engine",
    "toolkit.engines.postgresql.filling",
    "toolkit.engines.postgresql.session_options",
    "toolkit.engines.sqlite.connection",
    "toolkit.engines.sqlite.engine",
    "toolkit.engines.sqlite.uuid_forms",
    "toolkit.executors.local",
    "toolkit.executors.process",
    "toolkit.engines.sqlite.alembic",
    "toolkit.models.todo",
    "adbc_driver_postgresql.dbapi",
    "adbc_driver_sqlite.dbapi",
    "advanced_alchemy.alembic.commands",
    "advanced_alchemy.config",
    "importlib.resources.readers",
    "numpy.ma",
    "obstore.store",
    "tests.operations.club",
    "tests.operations.gallery",
    "tests.operations.shop",
    "tests.executors.forked",
    __name__,
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(_LOADED)


@dataclass(frozen=True)
class Toolkit:
    """A running `toolkit`; what it writes goes to two files."""

    process: ForkServerProcess
    folder: Path

    def interrupt(self) -> None:
        """Press Ctrl-C, unless it has ended."""
        with suppress(ProcessLookupError):
            assert self.process.pid is not None
            os.kill(self.process.pid, signal.SIGINT)

    def end(self, timeout: float = 60) -> int:
        """Wait for its end; the exit code, or the negative number of the signal that ended it."""
        self.process.join(timeout)
        code = self.process.exitcode
        assert code is not None, "it did not end"
        return code

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def result(self) -> Any:
        return json.loads(self.out)


def called(function: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process that does no more than this, and return at once; it may have others forked itself."""
    server: Any = forkserver._forkserver
    server.ensure_running()
    known = {name: value for name, value in vars(server).items() if name in _ADDRESS}
    process = _CONTEXT.Process(target=_call, args=(known, function, arguments))
    process.start()
    return process


# Where the server is, and what one says to be let in, from Python 3.14 on.
_ADDRESS = ("_forkserver_address", "_forkserver_authkey")


def _call(known: dict[str, Any], function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    server: Any = forkserver._forkserver
    vars(server).update(known)
    # It runs: a process that it has forked would start another.
    server.ensure_running = lambda: None
    function(*arguments)


def toolkit(
    project: Path,
    *arguments: str,
    temporary: Path | None = None,
    largest_file: int | None = None,
    before: Callable[[], None] | None = None,
) -> Toolkit:
    """Start the command line in the directory of a project, and return as it begins.

    `temporary` is where its temporary files and its locks go, in place of the place that all processes share.
    `largest_file`: no file that it writes may grow beyond so many bytes, as on a disk that is full.
    `before` is called in the process, before anything else: to let something happen there at an exact moment.
    """
    folder = project / f"process{len(list(project.glob('process*')))}"
    folder.mkdir()
    process = _CONTEXT.Process(target=_run, args=(project, folder, arguments, temporary, largest_file, before))
    process.start()
    while process.is_alive() and not (folder / "err").exists():
        time.sleep(0.001)
    return Toolkit(process, folder)


def _run(
    project: Path,
    folder: Path,
    arguments: tuple[str, ...],
    temporary: Path | None,
    largest_file: int | None,
    before: Callable[[], None] | None,
) -> None:
    # Before and after `run`, whose answer to Ctrl-C is what is asked for, it is not heard.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(project)
    if temporary is not None:
        tempfile.tempdir = str(temporary)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    from toolkit.cli import run
    from toolkit.cli.output import let_libraries_through

    # As `main` does: of a connection that Ctrl-C meets as it is closed, SQLAlchemy's pool would print a traceback.
    let_libraries_through()
    if before is not None:
        before()
    code = run(list(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
