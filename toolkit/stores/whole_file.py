"""A file that is there whole, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from toolkit.compute.scratch import told_if_full
from toolkit.errors import StoreError


@contextmanager
def whole_file(target: Path | IO[bytes]) -> Iterator[IO[bytes]]:
    """A file to write, which takes its place when the block ends; after an error in it, the place is as it was.

    A file takes the place of an older one in one step, with that one's permissions; a new one only its owner may read.
    Streams, pipes and devices are given the whole at the end.

    Raises:
        StoreError: it cannot be written.
    """
    if not isinstance(target, Path):
        with tempfile.TemporaryFile(prefix="toolkit-") as file:
            with told_if_full():
                yield file
                file.seek(0)
            shutil.copyfileobj(file, target)
            target.flush()
        return
    with _translated(target):
        path = target.resolve()
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and not stat.S_ISREG(mode):
            with target.open("wb") as device, whole_file(device) as file:
                yield file
            return
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with _translated(target), os.fdopen(descriptor, "wb") as file:
            yield file
            if mode is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            file.flush()
            os.fsync(file.fileno())
        with _translated(target):
            Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def _translated(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(str(target), error.strerror or str(error)) from error
