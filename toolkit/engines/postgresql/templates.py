"""Templates and clones of databases for tests on a PostgreSQL server.

The database that was named is only connected to. What this module makes has names that begin with
`toolkit_<project>_`: `…seed_<key>` for templates, `…run_<process>_<number>` for clones. A process holds an advisory
lock for as long as it runs: whoever gets the lock knows that its clones are leftovers, on whatever machine it ran.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from toolkit.engines.contract import Configured
from toolkit.engines.database import Database
from toolkit.engines.postgresql.errors import known_error
from toolkit.engines.postgresql.urls import EMBEDDED, for_libpq
from toolkit.engines.registry import TEST_SERVER
from toolkit.engines.urls import parsed_url
from toolkit.errors import ConfigurationError

KEPT_DAYS = 7
_SERVER_OF_TESTS = EMBEDDED.rstrip(":")


def address_for_tests(database: Configured, server: str | None, directory: Path) -> str:
    """The database on the server for tests: `server`, a URL, or `embedded` for one in this directory.

    Raises:
        ConfigurationError: none is named, and the application works with one of its own.
    """
    if server is None and not database.address.startswith(EMBEDDED):
        raise ConfigurationError(
            f"No server is named for tests, and {database.name} is configured as {database.shown_url}: "
            "databases are made and dropped only where that is meant.",
            f"Set {TEST_SERVER} (or toolkit_postgres_url of pytest) to a PostgreSQL URL, or to "
            f"`{_SERVER_OF_TESTS}` for a server of pytest's own.",
        )
    if server in (None, _SERVER_OF_TESTS):
        return f"{EMBEDDED}{directory / 'postgres'}"
    assert server is not None
    named = Database(database.name, server, database.root)
    if named.engine_name != "postgresql":
        raise ConfigurationError(
            f"The server for tests is no PostgreSQL: {named.shown_url}.",
            f"Correct {TEST_SERVER}, or toolkit_postgres_url of pytest.",
        )
    return server


def prefix_of(root: Path, database: str | None) -> str:
    """What the databases of one project begin with on a server that is asked through this database.

    Locks are seen by those who are connected to the same one: a project's name includes it.
    """
    digest = hashlib.sha256(f"{root}\n{database}".encode()).hexdigest()
    return f"toolkit_{digest[:8]}_"


class PostgresTemplates:
    """One connection to the server, from which databases are made and dropped.

    With `rebuild`, the name of a run, only templates that were made in it are used.
    """

    def __init__(self, database: Configured, rebuild: str | None = None) -> None:
        self._database = database
        self._rebuild = rebuild
        self._url = database.url
        self._numbers = count()
        self._prefix = prefix_of(database.root, self._url.database)
        self._process = secrets.token_hex(4)
        with self._in_own_words():
            self._connection = psycopg.connect(for_libpq(self._url), autocommit=True)
        self._rows("SELECT pg_advisory_lock(%s)", self._key_of(self._process))
        self._remove_leftovers()

    def ensure(self, key: str, fill: Callable[[str], None]) -> None:
        """See to it that there is a template of that key, made by one process for all."""
        template = f"{self._prefix}seed_{key}"
        self._rows("SELECT pg_advisory_lock(%s)", self._key_of(key))
        try:
            made_in = self._run_of(template)
            if made_in is None or (self._rebuild or made_in) != made_in:
                self._make(template, fill)
                made_in = self._rebuild or ""
            # When it was last used: see `_remove_leftovers`.
            [(today,)] = self._rows("SELECT current_date::text")
            self._run("COMMENT ON DATABASE {} IS {}", Identifier(template), Literal(f"{today} {made_in}"))
        finally:
            self._rows("SELECT pg_advisory_unlock(%s)", self._key_of(key))

    def clone(self, key: str) -> str:
        """The address of a new database like the template."""
        # No STRATEGY: the server's own default since version 15, WAL_LOG, takes 17 ms where FILE_COPY takes 51
        # (PostgreSQL 18 with default settings, the bundled fixtures); versions before know no other.
        name = self._new_name()
        self._run("CREATE DATABASE {} TEMPLATE {}", Identifier(name), Identifier(f"{self._prefix}seed_{key}"))
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

    def _make(self, template: str, fill: Callable[[str], None]) -> None:
        name = self._new_name()
        self._run("CREATE DATABASE {}", Identifier(name))
        try:
            fill(self._at(name))
        except BaseException:
            self._drop(name)
            raise
        # Nobody may be connected to a template while it is copied. The name comes last: it says that all is there.
        self._run("ALTER DATABASE {} ALLOW_CONNECTIONS false", Identifier(name))
        self._drop(template)
        self._run("ALTER DATABASE {} RENAME TO {}", Identifier(name), Identifier(template))

    def _run_of(self, template: str) -> str | None:
        """The run that a template was made in, empty if that was none that rebuilds; None if there is no template."""
        found = self._rows("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", template)
        return (found[0][0] or "").partition(" ")[2] if found else None

    def _remove_leftovers(self) -> None:
        """Drop the clones of processes that are gone, and templates that were not used for a week."""
        for name in self._names(f"{self._prefix}run_"):
            self._drop_unlocked(name, name.removeprefix(f"{self._prefix}run_").partition("_")[0])
        seeds = f"{self._prefix}seed_"
        old = self._rows(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
            " AND split_part(shobj_description(oid, 'pg_database'), ' ', 1)::date < current_date - %s",
            seeds,
            KEPT_DAYS,
        )
        for (name,) in old:
            self._drop_unlocked(name, name.removeprefix(seeds))

    def _drop_unlocked(self, name: str, lock: str) -> None:
        [(is_free,)] = self._rows("SELECT pg_try_advisory_lock(%s)", self._key_of(lock))
        if is_free:
            self._drop(name)
            self._rows("SELECT pg_advisory_unlock(%s)", self._key_of(lock))

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
