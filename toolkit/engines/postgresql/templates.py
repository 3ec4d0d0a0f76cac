"""Templates and clones of databases for tests on a PostgreSQL server.

The database that was named is only connected to. What this module makes has names that begin with
`toolkit_<project>_`: `…seed_<key>` for templates, `…run_<process>_<number>` for clones. A process holds an advisory
lock for as long as it runs: whoever gets the lock knows that its clones are leftovers, on whatever machine it ran.
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

import psycopg
from msgspec import Struct
from psycopg.sql import SQL, Identifier, Literal

from toolkit.engines.contract import Configured
from toolkit.engines.database import Database
from toolkit.engines.postgresql.database_properties import copy_properties
from toolkit.engines.postgresql.errors import known_error
from toolkit.engines.postgresql.urls import EMBEDDED, for_libpq
from toolkit.engines.registry import TEST_SERVERS
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError

KEPT_DAYS = 7
_SERVER_OF_TESTS, _VARIABLE = EMBEDDED.rstrip(":"), TEST_SERVERS["postgres"]


def address_for_tests(database: Configured, server: str | None, directory: Path) -> str:
    """The database on the server for tests: `server`, a URL, or `embedded` for one in this directory.

    Raises:
        ConfigurationError: none is named, and the application works with one of its own.
    """
    if server is None and not database.address.startswith(EMBEDDED):
        raise ConfigurationError(
            f"No server is named for tests, and {database.name} is configured as {database.shown_url}: "
            "databases are made and dropped only where that is meant.",
            f"Set {_VARIABLE} (or toolkit_postgres_url of pytest) to a PostgreSQL URL, or to "
            f"`{_SERVER_OF_TESTS}` for a server of pytest's own.",
        )
    if server in (None, _SERVER_OF_TESTS):
        return f"{EMBEDDED}{directory / 'postgres'}"
    assert server is not None
    named = Database(database.name, server, database.root)
    if named.engine_name != "postgresql":
        raise ConfigurationError(
            f"The server for tests is not PostgreSQL: {named.shown_url}.",
            f"Correct {_VARIABLE}, or toolkit_postgres_url of pytest.",
        )
    return server


def prefix_of(root: Path, database: str | None) -> str:
    """What the databases of one project begin with on a server that is asked through this database.

    Locks are seen by those who are connected to the same one: a project's name includes it.
    """
    digest = hashlib.sha256(f"{root}\n{database}".encode()).hexdigest()
    return f"toolkit_{digest[:8]}_"


class _Made(Struct, frozen=True):
    """The run it was made in, empty if that was none that rebuilds; what was noted then; its own comment."""

    run: str
    notes: tuple[str, ...]
    comment: str | None


class PostgresTemplates:
    """One connection to the server, from which databases are made and dropped.

    With `rebuild`, the name of a run, only templates that were made in it are used.
    """

    def __init__(self, database: Configured, rebuild: str | None = None) -> None:
        self._database = database
        self._rebuild = rebuild
        self._url = database.url
        self._numbers = count()
        self._templates: dict[str, _Made] = {}
        self._prefix = prefix_of(database.root, self._url.database)
        self._process = secrets.token_hex(4)
        with self._in_own_words():
            self._connection = psycopg.connect(for_libpq(self._url), autocommit=True)
        self._rows("SELECT pg_advisory_lock(%s)", self._key_of(self._process))

    def ensure(self, key: str, fill: Callable[[str], Sequence[str]]) -> Sequence[str]:
        """See to it that there is a template of that key, made by one process for all; what was noted when it was."""
        template = f"{self._prefix}seed_{key}"
        self._rows("SELECT pg_advisory_lock(%s)", self._key_of(key))
        try:
            made = self._made(template)
            if made is None or self._rebuild not in (None, made.run):
                made = self._make(template, fill)
            else:
                self._comment(template, made)
            # As long as this process runs: see `prune`.
            self._rows("SELECT pg_advisory_lock_shared(%s)", self._key_of(f"use {key}"))
            self._templates[key] = made
        finally:
            self._rows("SELECT pg_advisory_unlock(%s)", self._key_of(key))
        return made.notes

    def clone(self, key: str) -> str:
        """The address of a new database like the template."""
        # No STRATEGY: the server's own default since version 15, WAL_LOG, takes 17 ms where FILE_COPY takes 51
        # (PostgreSQL 18 with default settings, the bundled fixtures); versions before know no other.
        name, template = self._new_name(), f"{self._prefix}seed_{key}"
        self._run("CREATE DATABASE {} TEMPLATE {}", Identifier(name), Identifier(template))
        with self._in_own_words():
            copy_properties(self._connection, template, name)
        if comment := self._templates[key].comment:
            self._run("COMMENT ON DATABASE {} IS {}", Identifier(name), Literal(comment))
        return self._at(name)

    def new(self) -> str:
        """The address of a new database with nothing in it."""
        name = self._new_name()
        self._run("CREATE DATABASE {}", Identifier(name))
        return self._at(name)

    def drop(self, address: str) -> None:
        """Drop a clone, whoever is still connected to it."""
        self._drop(parsed_url(self._database.name, address).database or "")

    def close(self) -> None:
        """Drop what this process made, except for templates."""
        if not self._connection.closed:
            for name in self._names(f"{self._prefix}run_{self._process}_"):
                self._drop(name)
            self._connection.close()

    def prune(self, *, every: bool, dry_run: bool = False) -> Sequence[str]:
        """Drop clones of processes that are gone and templates: all that nobody uses, or those unused for a week."""
        found = []
        for name in self._names(f"{self._prefix}run_"):
            process = name.removeprefix(f"{self._prefix}run_").partition("_")[0]
            found += self._drop_unlocked(name, [process], dry_run)
        seeds = f"{self._prefix}seed_"
        old = self._rows(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
            " AND (%s OR split_part(shobj_description(oid, 'pg_database'), ' ', 1)::date < current_date - %s)",
            seeds,
            every,
            KEPT_DAYS,
        )
        for (name,) in old:
            key = name.removeprefix(seeds)
            found += self._drop_unlocked(name, [key, f"use {key}"], dry_run)
        return found

    def _make(self, template: str, fill: Callable[[str], Sequence[str]]) -> _Made:
        address = self.new()
        name = parsed_url(self._database.name, address).database or ""
        try:
            notes = fill(address)
        except BaseException:
            self._drop(name)
            raise
        made = _Made(self._rebuild or "", tuple(notes), self._description(name))
        self._comment(name, made)
        # Nobody may be connected to a template while it is copied. The name comes last: it says that all is there.
        self._run("ALTER DATABASE {} ALLOW_CONNECTIONS false", Identifier(name))
        self._drop(template)
        self._run("ALTER DATABASE {} RENAME TO {}", Identifier(name), Identifier(template))
        return made

    def _made(self, template: str) -> _Made | None:
        """How a template was made; None if there is none."""
        if not self._names(template):
            return None
        _, _, text = (self._description(template) or "").partition(" ")
        try:
            run, notes, comment = json.loads(text)
        except ValueError:
            return _Made("", (), None)
        return _Made(run, tuple(notes), comment)

    def _comment(self, name: str, made: _Made) -> None:
        """Note how a template was made, and when it was last used: see `prune`."""
        [(today,)] = self._rows("SELECT current_date::text")
        text = f"{today} {json.dumps([made.run, made.notes, made.comment])}"
        self._run("COMMENT ON DATABASE {} IS {}", Identifier(name), Literal(text))

    def _description(self, name: str) -> str | None:
        [(found,)] = self._rows(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", name
        )
        return None if found is None else str(found)

    def _drop_unlocked(self, name: str, locks: Sequence[str], dry_run: bool) -> list[str]:
        """Drop it if nobody has one of these locks; its name, if it was."""
        taken = [
            lock for lock in locks if self._rows("SELECT pg_try_advisory_lock(%s)", self._key_of(lock)) == [(True,)]
        ]
        is_free = len(taken) == len(locks)
        if is_free and not dry_run:
            self._drop(name)
        for lock in taken:
            self._rows("SELECT pg_advisory_unlock(%s)", self._key_of(lock))
        return [name] if is_free else []

    def _drop(self, name: str) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", Identifier(name))

    def _names(self, prefix: str) -> Sequence[str]:
        found = self._rows("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", prefix)
        return [name for (name,) in found]

    def _new_name(self) -> str:
        return f"{self._prefix}run_{self._process}_{next(self._numbers)}"

    def _at(self, name: str) -> str:
        # The address, not the URL made from it: an application's own driver and its options stay.
        address = self._database.address
        url = self._url if address.startswith(EMBEDDED) else parsed_url(self._database.name, address)
        return url.set(database=name).render_as_string(hide_password=False)

    def _key_of(self, name: str) -> int:
        digest = hashlib.sha256(f"{self._prefix}{name}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._in_own_words():
            return self._connection.execute(query, values).fetchall()

    def _run(self, statement: str, *parts: Identifier | Literal) -> None:
        with self._in_own_words():
            self._connection.execute(SQL(statement).format(*parts))

    @contextmanager
    def _in_own_words(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise known_error(self._database, error) from error
