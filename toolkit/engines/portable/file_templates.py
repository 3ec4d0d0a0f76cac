"""Templates and clones for tests of a database that is one file."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
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
            self._held = try_lock(self._clones.with_suffix(".lock"))
        self._clones.mkdir()

    def ensure(self, key: str, fill: Callable[[str], Sequence[str]]) -> Sequence[str]:
        """See to it that there is a template of that key, made by one process for all; what was noted when it was."""
        with locked(self._lock):
            made_in, notes = self._noted(key)
            if self._template(key).exists() and self._rebuild in (None, made_in):
                os.utime(self._template(key))
                return notes
            made = self._new()
            notes = list(fill(self._address(made)))
            self._note(key).unlink(missing_ok=True)
            _discard(self._template(key))
            if self._rebuild or notes:
                self._note(key).write_text(json.dumps([self._rebuild, notes]), encoding="utf-8")
            made.replace(self._template(key))
            _remove_with_company(made)
            return notes

    def clone(self, key: str) -> str:
        """The address of a new database like the template."""
        clone = self._new()
        self._copy(self._template(key), clone)
        return self._address(clone)

    def new(self) -> str:
        """The address of a new database with nothing in it."""
        return self._address(self._new())

    def prune(self, *, every: bool, dry_run: bool = False) -> Sequence[str]:
        """Remove clones of processes that are gone and templates: every one, if no process runs, or unused for long."""
        with locked(self._lock):
            held = [(lock, try_lock(lock)) for lock in sorted(self._directory.glob("run-*.lock"))]
            gone = [lock.with_suffix("") for lock, connection in held if connection]
            is_in_use = any(
                connection is None and lock != self._clones.with_suffix(".lock") for lock, connection in held
            )
            templates = [each for each in sorted(self._directory.glob("*.template")) if _is_old(each) or every]
            found = [*gone, *([] if every and is_in_use else templates)]
            for each in [] if dry_run else found:
                _remove(each)
            for _, connection in held:
                if connection:
                    connection.close()
        return [str(each) for each in found]

    def drop(self, address: str) -> None:
        """Remove a clone with all that its engine put beside it."""
        _remove_with_company(Path(parsed_url(self._database.name, address).database or ""))

    def close(self) -> None:
        """Remove what this process made, except for templates."""
        assert self._held is not None
        _remove(self._clones)
        self._held.close()

    def _copy(self, template: Path, clone: Path) -> None:
        shutil.copyfile(template, clone)

    def _template(self, key: str) -> Path:
        return self._directory / f"{key}.template"

    def _note(self, key: str) -> Path:
        """Which run a template was made in, if it was made in one that rebuilds, and what was noted then."""
        return self._template(key).with_suffix(".json")

    def _noted(self, key: str) -> tuple[str | None, list[str]]:
        if not self._note(key).is_file():
            return None, []
        made_in, notes = json.loads(self._note(key).read_text(encoding="utf-8"))
        return made_in, notes

    def _new(self) -> Path:
        """A file in a folder of its own."""
        place = self._clones / str(next(self._numbers))
        place.mkdir()
        return place / f"test.{self._suffix}"

    def _address(self, file: Path) -> str:
        # As it was written: its scheme is the engine's, and what is set of it stays.
        url = parsed_url(self._database.name, self._database.address).set(database=str(file))
        return url.render_as_string(hide_password=False)


def _is_old(template: Path) -> bool:
    return template.stat().st_mtime < time.time() - KEPT_DAYS * 86400


def _remove_with_company(file: Path) -> None:
    """Remove a clone's folder."""
    shutil.rmtree(file.parent, ignore_errors=True)


def _discard(made: Path) -> None:
    """Remove a file, or a directory that is a database."""
    if made.is_dir():
        shutil.rmtree(made, ignore_errors=True)
    else:
        made.unlink(missing_ok=True)


def _remove(made: Path) -> None:
    """Remove a template, or a process's clones, and what is beside it."""
    if made.is_dir():
        shutil.rmtree(made, ignore_errors=True)
    for path in (made if made.suffix else None, made.with_suffix(".lock"), made.with_suffix(".json")):
        if path and not path.is_dir():
            path.unlink(missing_ok=True)
