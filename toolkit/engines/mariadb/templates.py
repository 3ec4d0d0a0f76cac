"""Templates and clones of databases for tests on a MariaDB server, copied table by table in the server.

What this module makes has names that begin with `toolkit_<project>_`: `…seed_<key>` for templates,
`…run_<process>_<number>` for clones. A process holds a lock of the server's for as long as it runs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pymysql

from toolkit.engines.contract import Configured
from toolkit.engines.mariadb.errors import known_error
from toolkit.engines.mariadb.urls import PORT
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError

# The last table that a template gets: it says that all is there, and what was noted.
_NOTES = "toolkit_notes"
_LONG = 3600


def quoted(name: str) -> str:
    """A quoted name."""
    return "`" + name.replace("`", "``") + "`"


class MariaDBTemplates:
    """One connection to the server, from which databases are made and dropped."""

    def __init__(self, database: Configured, directory: Path) -> None:
        del directory
        self._database, url = database, database.url
        digest = hashlib.sha256(f"{database.root}\n{url.database}".encode()).hexdigest()
        self._prefix, self._process, self._numbers = f"toolkit_{digest[:8]}_", secrets.token_hex(4), count()
        with self._in_own_words():
            self._connection = pymysql.connect(
                host=url.host or "localhost",
                port=url.port or PORT,
                user=url.username,
                password=url.password or "",
                unix_socket=str(url.query["unix_socket"]) if "unix_socket" in url.query else None,
                charset="utf8mb4",
                autocommit=True,
            )
        self._rows("SET foreign_key_checks = 0")
        self._lock(self._process)

    def ensure(self, key: str, fill: Callable[[str], Sequence[str]]) -> Sequence[str]:
        """See to it that there is a template of that key, made by one process for all; what was noted when it was."""
        template = f"{self._prefix}seed_{key}"
        self._lock(key)
        try:
            notes = self._noted(template)
            if notes is None:
                self._drop(template)
                self._rows(f"CREATE DATABASE {quoted(template)}")
                notes = list(fill(self._at(template)))
                self._rows(f"CREATE TABLE {quoted(template)}.{quoted(_NOTES)} (notes LONGTEXT CHARSET utf8mb4)")
                self._rows(f"INSERT INTO {quoted(template)}.{quoted(_NOTES)} VALUES (%s)", json.dumps(notes))
        finally:
            self._rows("SELECT RELEASE_LOCK(%s)", self._prefix + key)
        return notes

    def _noted(self, template: str) -> list[str] | None:
        """What was noted of a template; None if there is none that is whole."""
        found = self._rows(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s", template, _NOTES
        )
        if not found:
            return None
        [(notes,)] = self._rows(f"SELECT notes FROM {quoted(template)}.{quoted(_NOTES)}")
        listed: list[str] = json.loads(notes)
        return listed

    def clone(self, key: str) -> str:
        """The address of a new database like the template.

        Raises:
            ConfigurationError: the template has what is not copied.
        """
        template, name = f"{self._prefix}seed_{key}", self._new_name()
        self._require_tables_alone(template)
        self._rows(f"CREATE DATABASE {quoted(name)}")
        self._rows(f"USE {quoted(name)}")
        tables = self._rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name <> %s",
            template,
            _NOTES,
        )
        for (table,) in tables:
            # With its foreign keys, which `LIKE` leaves out.
            [(_, made)] = self._rows(f"SHOW CREATE TABLE {quoted(template)}.{quoted(table)}")
            self._rows(made)
            columns = self._rows(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s "
                "AND is_generated = 'NEVER' ORDER BY ordinal_position",
                template,
                table,
            )
            listed = ", ".join(quoted(column) for (column,) in columns)
            self._rows(
                f"INSERT INTO {quoted(table)} ({listed}) SELECT {listed} FROM {quoted(template)}.{quoted(table)}"
            )
        return self._at(name)

    def _require_tables_alone(self, template: str) -> None:
        others = self._rows(
            "SELECT table_name FROM information_schema.views WHERE table_schema = %s "
            "UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s "
            "UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s",
            *[template] * 3,
        )
        if others:
            raise ConfigurationError(
                f"A database for tests is copied without views, triggers and routines, and it has {others[0][0]!r}.",
                "Make these in the tests themselves.",
            )

    def new(self) -> str:
        """The address of a new database with nothing in it."""
        name = self._new_name()
        self._rows(f"CREATE DATABASE {quoted(name)}")
        return self._at(name)

    def drop(self, address: str) -> None:
        """Drop a clone."""
        self._drop(parsed_url(self._database.name, address).database or "")

    def prune(self, *, every: bool, dry_run: bool = False) -> Sequence[str]:
        """Drop clones of processes that are gone, and with `every` all templates that nobody is making."""
        runs, seeds = f"{self._prefix}run_", f"{self._prefix}seed_"
        made = [(name, name.removeprefix(runs).partition("_")[0]) for name in self._names(runs)]
        made += [(name, name.removeprefix(seeds)) for name in self._names(seeds) if every]
        found = [name for name, lock in made if self._rows("SELECT IS_FREE_LOCK(%s)", self._prefix + lock) == ((1,),)]
        for name in found if not dry_run else ():
            self._drop(name)
        return found

    def close(self) -> None:
        """Drop what this process made, except for templates."""
        if self._connection.open:
            for name in self._names(f"{self._prefix}run_{self._process}_"):
                self._drop(name)
            self._connection.close()

    def _drop(self, name: str) -> None:
        self._rows(f"DROP DATABASE IF EXISTS {quoted(name)}")

    def _names(self, prefix: str) -> Sequence[str]:
        found = self._rows("SELECT schema_name FROM information_schema.schemata")
        return [name for (name,) in found if name.startswith(prefix)]

    def _new_name(self) -> str:
        return f"{self._prefix}run_{self._process}_{next(self._numbers)}"

    def _at(self, name: str) -> str:
        url = parsed_url(self._database.name, self._database.address)
        return url.set(database=name).render_as_string(hide_password=False)

    def _lock(self, name: str) -> None:
        self._rows("SELECT GET_LOCK(%s, %s)", self._prefix + name, _LONG)

    def _rows(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        with self._in_own_words(), self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall()

    @contextmanager
    def _in_own_words(self) -> Iterator[None]:
        try:
            yield
        except pymysql.Error as error:
            raise known_error(self._database, error) from error
