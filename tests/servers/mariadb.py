"""A MariaDB server of the tests' own, in its own directory, run by a user without rights: one for a whole run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pymysql

from tests.servers.common import free_ports, one_for_all

# Debian's, of which the server itself is on no user's PATH but root's.
_PLACES = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin"
# Whoever is root has the server run as the user that Debian's package brings.
_USER = "mysql"
# Nothing waits for a disk: only a crash of the machine would lose anything.
_SETTINGS = (
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-log-file-size=64M",
    "--innodb-buffer-pool-size=128M",
    "--skip-name-resolve",
    "--performance-schema=0",
    "--max-connections=200",
    # Neither the character set nor the zone of a server are to be relied on.
    "--character-set-server=latin1",
    "--default-time-zone=+03:00",
    # So that a row which is longer is soon made.
    "--max-allowed-packet=1M",
)


@contextmanager
def shared(folder: Path) -> Iterator[str]:
    """The URL of the one server of all processes of a run, without a database."""
    with one_for_all(folder, running) as url:
        yield url


@contextmanager
def running(_: Path, settings: Sequence[str] = ()) -> Iterator[str]:
    """A server for as long as the block lasts, with other settings, too; its URL.

    Raises:
        RuntimeError: it is not installed, or does not start.
    """
    programs = [_program(name) for name in ("mariadb-install-db", "mariadbd")]
    user = _USER if os.geteuid() == 0 else None
    (port,) = free_ports(1)
    # Not under pytest's own directory: a socket's path may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="tk-") as name:
        place = Path(name)
        if user is not None:
            shutil.chown(place, user)
        options: dict[str, Any] = {"user": user, "cwd": place, "stdin": subprocess.DEVNULL}
        with (place / "log").open("wb") as log:
            made = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=64M"]
            command = [programs[0], "--no-defaults", f"--datadir={place / 'data'}", *made]
            subprocess.run(command, check=True, stdout=log, stderr=log, timeout=120, **options)
            places = [f"--datadir={place / 'data'}", f"--socket={place / 'socket'}", f"--port={port}"]
            command = [programs[1], *_SETTINGS, *settings, *places, f"--pid-file={place / 'pid'}", f"--tmpdir={place}"]
            process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        try:
            _wait(port, place / "log")
            yield f"mariadb://root@127.0.0.1:{port}/"
        finally:
            process.kill()
            process.wait()


@contextmanager
def database(server: str) -> Iterator[str]:
    """The URL of a new database, which is dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    run(server, f"CREATE DATABASE {name}")
    try:
        yield server + name
    finally:
        run(server, "SET foreign_key_checks = 0", f"DROP DATABASE {name}")


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements past the toolkit, each of which commits; the rows of the last."""
    place = urlsplit(url)
    with (
        pymysql.connect(
            host=place.hostname, port=place.port or 0, user=place.username, charset="utf8mb4", ssl_disabled=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        if place.path.strip("/"):
            connection.select_db(place.path.strip("/"))
        for statement in statements:
            cursor.execute(statement)
        connection.commit()
        return list(cursor.fetchall())


def run_file(url: str, file: Path) -> None:
    """Run a file of statements, each of which ends where a line does."""
    text = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("--"))
    statements = [each.strip() for each in text.split(";\n") if each.strip()]
    run(url, "SET time_zone = '+00:00'", *statements)


def _program(name: str) -> str:
    found = shutil.which(name, path=_PLACES)
    if found is None:
        raise RuntimeError(f"These tests need MariaDB ({name}): apt-get install mariadb-server")
    return found


def _wait(port: int, log: Path) -> None:
    for _ in range(600):
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root", ssl_disabled=True).close()
        except pymysql.Error:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"MariaDB does not start: {log.read_text()[-2000:]}")
