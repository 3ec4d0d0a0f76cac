"""How long an application waits for its writes while a sync goes into its table."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import psycopg

from tests.benchmarks.changing import change
from tests.benchmarks.contenders import Contender, Samples, Stage, sync
from tests.benchmarks.machine import TOOLKIT, measure

_SHARE = 0.01
# A hundred writes a second, of rows here and there.
_PAUSE_SECONDS = 0.01
_ROWS = 1_000


class Application(threading.Thread):
    """Updates one todo after another by its key, each in a transaction of its own, until it is stopped."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url, self._stopped = url, threading.Event()
        self.longest = 0.0
        """Seconds that the slowest of its writes took."""

    def run(self) -> None:
        """Write, and take note of the longest wait."""
        with psycopg.connect(self._url, autocommit=True) as server:
            keys = [key for (key,) in server.execute(f"SELECT id FROM todo ORDER BY md5(id::text) LIMIT {_ROWS}")]
            number = 0
            while not self._stopped.wait(_PAUSE_SECONDS):
                began = time.perf_counter()
                server.execute("UPDATE todo SET item = item WHERE id = %s", (keys[number % _ROWS],))
                self.longest, number = max(self.longest, time.perf_counter() - began), number + 1

    def stop(self) -> None:
        """Let it end, and wait for that."""
        self._stopped.set()
        self.join()


def toolkit_beside_application() -> Contender:
    """A sync of a hundredth of the todos, alone and beside the application, and that one's longest wait."""

    def run(stage: Stage) -> Samples:
        with stage.new("PostgreSQL") as url:
            measure([*TOOLKIT, "database", "upgrade", "--database", url])
            source = stage.sources["SQLite"]
            sync(stage, source, url)
            change(url, stage.todos, max(1, round(_SHARE * stage.todos)), together=False)
            yield "alone", stage.measure([*TOOLKIT, "sync", "--from", source, "--to", url])[0]
            change(url, stage.todos, max(1, round(_SHARE * stage.todos)), together=False)
            application = Application(url)
            application.start()
            beside, _ = stage.measure([*TOOLKIT, "sync", "--from", source, "--to", url])
            application.stop()
            yield "beside an application that writes 100 times a second", replace(beside, others=0.0)
            yield "longest wait of a write of its own", replace(beside, seconds=application.longest, others=0.0)

    return Contender("toolkit sync", run, is_ours=True)
