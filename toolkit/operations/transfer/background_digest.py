"""Digest rows on the side while they are being written."""

from __future__ import annotations

import queue
import time
from contextlib import ExitStack, nullcontext
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from toolkit.compute.scratch import scratch_directory, told_if_full
from toolkit.compute.stored_digest import StoredDigest
from toolkit.core.batches import BATCH_BYTES, pieces
from toolkit.core.digest import TableDigest, digest_batches
from toolkit.core.tables import TableSpec
from toolkit.core.workers import Worker

# So many bytes of batches wait in memory; more go to a temporary file each, up to so many in all.
_IN_MEMORY = BATCH_BYTES
_ON_DISK = 1 << 30
# What is canonical of a row takes several times as much as the row: with 8,192 at a time a verified load from SQLite
# peaks at 262 MB in place of 254, from MariaDB at 241 in place of 229, and takes as long; 2,048 take 4 % more time from
# DuckDB.
_PIECE_ROWS = 4_096


class BackgroundDigest:
    """Digests batches in a thread of its own.

    Digesting takes longer than sending, and a database that builds its indexes leaves a processor to it. So batches
    wait, on disk if need be, rather than hold up the sender (a million todos: 9.0 s in step, 7.5 s on the side).
    """

    def __init__(self, spec: TableSpec, as_stored: bool) -> None:
        self._spec = spec
        self._as_stored = as_stored
        self._total = TableDigest()
        self._waiting: queue.SimpleQueue[pa.RecordBatch | Path | None] = queue.SimpleQueue()
        self._bytes_in_memory = self._bytes_on_disk = 0
        self._failure: BaseException | None = None
        self._abandoned = False
        self._worker = Worker(self._work, "digest")

    def __enter__(self) -> Self:
        self._open = ExitStack()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandoned = True
        self._waiting.put(None)
        self._worker.wait()
        self._open.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Take a batch over; returns at once unless the disk space is used up."""
        # Not before the block, whose end waits for it, has been entered.
        self._worker.start()
        while self._bytes_on_disk > _ON_DISK and not self._worker.has_ended:
            time.sleep(0.01)
        if self._bytes_in_memory + batch.nbytes <= _IN_MEMORY:
            self._bytes_in_memory += batch.nbytes
            self._waiting.put(batch)
            return
        path = self._folder / str(time.monotonic_ns())
        with told_if_full(), pa.ipc.new_file(path, batch.schema) as file:
            file.write_batch(batch)
        self._bytes_on_disk += path.stat().st_size
        self._waiting.put(path)

    @cached_property
    def _folder(self) -> Path:
        return self._open.enter_context(scratch_directory())

    def result(self) -> TableDigest:
        """The digest of all batches, once the last is done.

        Raises:
            Exception: what went wrong in the thread.
        """
        self._waiting.put(None)
        self._worker.finish()
        if self._failure is not None:
            raise self._failure
        return self._total

    def _work(self) -> None:
        try:
            with StoredDigest() if self._as_stored else nullcontext() as stored:
                while (item := self._waiting.get()) is not None and not self._abandoned:
                    batch = self._read_back(item) if isinstance(item, Path) else self._taken(item)
                    self._total += stored.of(batch) if stored else self._of(batch)
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._failure = error

    def _of(self, batch: pa.RecordBatch) -> TableDigest:
        return digest_batches(self._spec, pieces(batch, _PIECE_ROWS))

    def _taken(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self._bytes_in_memory -= batch.nbytes
        return batch

    def _read_back(self, path: Path) -> pa.RecordBatch:
        with pa.ipc.open_file(path) as file:
            batch = file.get_batch(0)
        self._bytes_on_disk -= path.stat().st_size
        path.unlink()
        return batch
