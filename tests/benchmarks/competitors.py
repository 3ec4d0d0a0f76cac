"""The programs to compare with: each from PyPI in an environment of its own, or the system's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.benchmarks.machine import CommandFailedError

_PACKAGES = {
    "dlt": ("dlt[postgres,duckdb,sql_database]", "pyarrow"),
    # Its extra `postgresql` is psycopg2 from source, which needs a compiler.
    "db-to-sqlite": ("db-to-sqlite", "psycopg2-binary"),
    "reladiff": ("reladiff[duckdb,postgresql]", "psycopg2-binary"),
    "pyspark": ("pyspark",),
    "django": ("django", "psycopg[binary]"),
    # anyio is what its `dump-data` needs without saying so, msgspec the fastest encoder that it knows.
    "advanced-alchemy": ("advanced-alchemy[cli,obstore]", "sqlalchemy<2.1", "anyio", "msgspec"),
}


class MissingCompetitorError(Exception):
    """A program to compare with is not there and could not be installed."""


def cache_directory() -> Path:
    """Where the environments are kept from one time to the next."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "toolkit-benchmarks"


@cache
def program(name: str) -> str:
    """A program of the operating system.

    Raises:
        MissingCompetitorError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise MissingCompetitorError(f"{name} is not installed")
    return found


@cache
def environment(name: str) -> Path:
    """The programs of an environment with that package in it, made at the first time.

    Raises:
        MissingCompetitorError: it could not be made.
    """
    directory = cache_directory() / name
    programs = directory / "bin"
    ready = directory / "ready"
    if not ready.exists():
        shutil.rmtree(directory, ignore_errors=True)
        try:
            _install(directory, programs / "python", _PACKAGES[name])
        except CommandFailedError as error:
            raise MissingCompetitorError(f"{name} could not be installed: {error}") from error
        ready.touch()
    return programs


def version(name: str) -> str:
    """The version of a package in its environment."""
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return _run([str(environment(name) / "python"), "-c", code]).strip()


def _install(directory: Path, python: Path, packages: tuple[str, ...]) -> None:
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--python", sys.executable, str(directory)])
        _run([uv, "pip", "install", "--python", str(python), *packages])
    else:
        _run([sys.executable, "-m", "venv", str(directory)])
        _run([str(python), "-m", "pip", "install", *packages])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandFailedError((done.stderr or done.stdout)[-2000:])
    return done.stdout
