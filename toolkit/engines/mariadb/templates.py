"""Templates and clones of databases for tests on a MariaDB server, copied table by table in the server.

What this module makes has names that begin with `toolkit_<project>_`: `…seed_<key>` for templates,
`…run_<process>_<number>` for clones. A process holds a lock of the server's for as long as it runs: whoever gets it
knows that its clones are leftovers, on whatever machine it ran, and that it uses no template any more.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pymysql

from toolkit.engines.contract import Configured
from toolkit.engines.database import Database
from toolkit.engines.mariadb.definitions import definition
from toolkit.engines.mariadb.driver import Connection
from toolkit.engines.mariadb.errors import known_error
from toolkit.engines.mariadb.urls import PORT
from toolkit.engines.registry import TEST_SERVERS
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError, StatementError

# The last table that a template gets: it says that all is there, in which run it was made, and what was noted then.
_NOTES = "toolkit_notes"
# Which processes use it.
_USES = "toolkit_uses"
_OWN = (_NOTES, _USES)
_LONG = 3600
_LONGEST_LOCK = 64
KEPT_DAYS = 7
_VARIABLE = TEST_SERVERS["mariadb"]


def address_for_tests(database: Configured, server: str | None) -> str:
    """The server for tests, by its URL.

    Raises:
        ConfigurationError: none is named, or it is none of this engine's.
    """
    if server is None:
        raise ConfigurationError(
            f"No server is named for tests of {database.name}, which is configured as {database.shown_url}: databases "
            "are made and dropped only where that is meant.",
            f"Set {_VARIABLE} (or toolkit_mariadb_url of pytest) to the URL of a MariaDB server.",
        )
    named = Database(database.name, server, database.root)
    if named.engine_name != "mariadb":
        raise ConfigurationError(
            f"The server for tests is not MariaDB: {named.shown_url}.",
            f"Correct {_VARIABLE}, or toolkit_mariadb_url of pytest.",
        )
    return server


def quoted(name: str) -> str:
    """A quoted name."""
    return "`" + name.replace("`", "``") + "`"


class MariaDBTemplates:
    """One connection to the server, from which databases are made and dropped.

    With `rebuild`, the name of a run, only templates that were made in it are used.
    """

    def __init__(self, database: Configured, rebuild: str | None = None) -> None:
        self._database, self._rebuild, url = database, rebuild, database.url
        digest = hashlib.sha256(f"{database.root}\n{url.database}".encode()).hexdigest()
        self._prefix, self._process, self._numbers = f"toolkit_{digest[:8]}_", secrets.token_hex(4), count()
        with self._in_own_words():
            self._connection = Connection(
                host=url.host or "localhost",
                port=url.port or PORT,
                user=url.username,
                password=url.password or "",
                unix_socket=str(url.query["unix_socket"]) if "unix_socket" in url.query else None,
                charset="utf8mb4",
                autocommit=True,
            )
        # What is copied is taken as it is.
        self._rows("SET foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        self._lock(self._process)

    def ensure(self, key: str, fill: Callable[[str], Sequence[str]]) -> Sequence[str]:
        """See to it that there is a template of that key, made by one process for all; what was noted when it was."""
        template = f"{self._prefix}seed_{key}"
        self._lock(key)
        try:
            made, notes = self._noted(template)
            if made is None or self._rebuild not in (None, made):
                notes = self._make(template, fill)
            self._use(template)
        finally:
            self._rows("SELECT RELEASE_LOCK(%s)", self._lock_of(key))
        return notes

    def _make(self, template: str, fill: Callable[[str], Sequence[str]]) -> list[str]:
        self._drop(template)
        self._rows(f"CREATE DATABASE {quoted(template)}")
        try:
            notes = list(fill(self._at(template)))
        except BaseException:
            self._drop(template)
            raise
        place, uses = (f"{quoted(template)}.{quoted(name)}" for name in _OWN)
        self._rows(f"CREATE TABLE {uses} (process CHAR(8) PRIMARY KEY, day DATE NOT NULL) ENGINE=InnoDB")
        self._rows(f"CREATE TABLE {place} ENGINE=InnoDB CHARSET=utf8mb4 AS SELECT %s AS notes", json.dumps(notes))
        self._rows(f"ALTER TABLE {place} COMMENT = %s", self._rebuild or "")
        return notes

    def _use(self, template: str) -> None:
        """Note that this process does: see `prune`."""
        self._rows(f"REPLACE INTO {quoted(template)}.{quoted(_USES)} VALUES (%s, CURRENT_DATE)", self._process)

    def _noted(self, template: str) -> tuple[str | None, list[str]]:
        """The run in which a template was made, and what was noted; None if there is none that is whole."""
        found = self._rows(
            "SELECT table_comment FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            template,
            _NOTES,
        )
        if not found:
            return None, []
        [(notes,)] = self._rows(f"SELECT notes FROM {quoted(template)}.{quoted(_NOTES)}")
        return found[0][0], json.loads(notes)

    def clone(self, key: str) -> str:
        """The address of a new database like the template.

        Raises:
            ConfigurationError: the template has what is not copied.
        """
        template, name = f"{self._prefix}seed_{key}", self._new_name()
        self._require_tables_alone(template)
        [(charset, collation)] = self._rows(
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata "
            "WHERE schema_name = %s",
            template,
        )
        self._rows(f"CREATE DATABASE {quoted(name)} CHARACTER SET {charset} COLLATE {collation}")
        self._rows(f"USE {quoted(name)}")
        tables = self._rows(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_name NOT IN (%s, %s) "
            "ORDER BY table_type <> 'SEQUENCE'",
            template,
            *_OWN,
        )
        for (table,) in tables:
            # With its foreign keys, which `LIKE` leaves out.
            with self._in_own_words():
                made = definition(self._connection, f"{quoted(template)}.{quoted(table)}")
            # A default names its sequence together with the database that has it.
            self._rows(made.replace(f"{quoted(template)}.", ""))
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
        """Drop clones of processes that are gone and templates: all that nobody uses, or those unused for a week."""
        runs, seeds = f"{self._prefix}run_", f"{self._prefix}seed_"
        found = [name for name in self._names(runs) if self._is_gone(name.removeprefix(runs).partition("_")[0])]
        found += [name for name in self._names(seeds) if self._is_unused(name, name.removeprefix(seeds), every)]
        for name in found if not dry_run else ():
            self._drop(name)
        return found

    def _is_unused(self, template: str, key: str, every: bool) -> bool:
        """Whether nobody makes or uses a template, and, unless `every` is asked for, has not for long."""
        if not self._is_gone(key):
            return False
        if self._noted(template)[0] is None:
            return True
        uses = f"{quoted(template)}.{quoted(_USES)}"
        day, old = f"SELECT max(day) FROM {uses}", f"CURRENT_DATE - INTERVAL {KEPT_DAYS} DAY"
        [(is_old,)] = self._rows(f"SELECT coalesce(({day}) < {old}, 0)")
        return bool(every or is_old) and all(self._is_gone(one) for (one,) in self._rows(f"SELECT process FROM {uses}"))

    def _is_gone(self, name: str) -> bool:
        return self._rows("SELECT IS_FREE_LOCK(%s)", self._lock_of(name)) == ((1,),)

    def close(self) -> None:
        """Drop what this process made, except for templates."""
        if self._connection.open:
            for name in self._names(f"{self._prefix}run_{self._process}_"):
                self._drop(name)
            self._connection.close()

    def _drop(self, name: str) -> None:
        """Drop a database, whoever is still connected to it: it would be waited for."""
        for (one,) in self._rows(
            "SELECT id FROM information_schema.processlist WHERE db = %s AND id <> CONNECTION_ID()", name
        ):
            with suppress(StatementError):
                self._rows("KILL %s", one)
        self._rows(f"DROP DATABASE IF EXISTS {quoted(name)}")

    def _names(self, prefix: str) -> Sequence[str]:
        found = self._rows("SELECT schema_name FROM information_schema.schemata")
        return [name for (name,) in found if name.startswith(prefix)]

    def _new_name(self) -> str:
        return f"{self._prefix}run_{self._process}_{next(self._numbers)}"

    def _at(self, name: str) -> str:
        url = parsed_url(self._database.name, self._database.address)
        return url.set(database=name).render_as_string(hide_password=False)

    def _lock_of(self, name: str) -> str:
        return f"{self._prefix}{name}"[:_LONGEST_LOCK]

    def _lock(self, name: str) -> None:
        self._rows("SELECT GET_LOCK(%s, %s)", self._lock_of(name), _LONG)

    def _rows(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        with self._in_own_words(), self._connection.cursor() as cursor:
            cursor.execute(query, values or None)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows

    @contextmanager
    def _in_own_words(self) -> Iterator[None]:
        try:
            yield
        except pymysql.Error as error:
            raise known_error(self._database, error) from error
