"""Templates and clones for tests of a database that is one file."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from toolkit.engines.contract import Configured
from toolkit.engines.urls import parsed_url
from toolkit.locks import locked, try_lock

KEPT_DAYS = 7


class FileTemplates:
    """Templates in a directory that processes share, clones in one of this process's own beside them.

    With `rebuild`, the name of a run, only templates that were made in it are used.
    """

    def __init__(self, database: Configured, directory: Path, suffix: str, rebuild: str | None = None) -> None:
        self._database = database
        self._suffix = suffix
        self._rebuild = rebuild
        self._directory = directory
        self._lock = directory / "directory.lock"
        self._numbers = count()
        directory.mkdir(parents=True, exist_ok=True)
        self._clones = directory / f"run-{secrets.token_hex(4)}"
        # A lock file that another process finds is a leftover, or locked already.
        with locked(self._lock):
            self._remove_leftovers()
            self._held = try_lock(self._clones.with_suffix(".lock"))
        self._clones.mkdir()

    def ensure(self, key: str, fill: Callable[[str], None]) -> None:
        """See to it that there is a template of that key, made by one process for all."""
        with locked(self._lock):
            if self._template(key).exists() and self._rebuild in (None, self._run_of(key)):
                os.utime(self._template(key))
                return
            made = self._new()
            fill(self._address(made))
            self._note(key).unlink(missing_ok=True)
            made.replace(self._template(key))
            if self._rebuild:
                self._note(key).write_text(self._rebuild)
            _remove_with_company(made)

    def clone(self, key: str) -> str:
        """The address of a new database like the template."""
        clone = self._new()
        shutil.copyfile(self._template(key), clone)
        return self._address(clone)

    def drop(self, address: str) -> None:
        """Remove a clone with all that its engine put beside it."""
        _remove_with_company(Path(parsed_url(self._database.name, address).database or ""))

    def close(self) -> None:
        """Remove what this process made, except for templates."""
        assert self._held is not None
        _remove(self._clones)
        self._held.close()

    def _template(self, key: str) -> Path:
        return self._directory / f"{key}.template"

    def _note(self, key: str) -> Path:
        """Which run a template was made in, if it was made in one that rebuilds."""
        return self._template(key).with_suffix(".run")

    def _run_of(self, key: str) -> str | None:
        return self._note(key).read_text() if self._note(key).is_file() else None

    def _new(self) -> Path:
        """A file in a folder of its own."""
        place = self._clones / str(next(self._numbers))
        place.mkdir()
        return place / f"test.{self._suffix}"

    def _address(self, file: Path) -> str:
        # As it was written: its scheme is the engine's, and what is set of it stays.
        url = parsed_url(self._database.name, self._database.address).set(database=str(file))
        return url.render_as_string(hide_password=False)

    def _remove_leftovers(self) -> None:
        for lock in self._directory.glob("run-*.lock"):
            if held := try_lock(lock):
                _remove(lock.with_suffix(""))
                held.close()
        for template in self._directory.glob("*.template"):
            if template.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
                template.unlink(missing_ok=True)
                template.with_suffix(".run").unlink(missing_ok=True)


def _remove_with_company(file: Path) -> None:
    """Remove a clone's folder."""
    shutil.rmtree(file.parent, ignore_errors=True)


def _remove(clones: Path) -> None:
    shutil.rmtree(clones, ignore_errors=True)
    clones.with_suffix(".lock").unlink(missing_ok=True)
