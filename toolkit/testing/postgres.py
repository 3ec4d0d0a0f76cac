"""Templates and clones on a PostgreSQL server.

The database that was named is only connected to. What this module makes has names that begin with
`toolkit_<project>_`: `…seed_<key>` for templates, `…run_<process>_<number>` for clones. A process holds an advisory
lock for as long as it runs: whoever gets the lock knows that its clones are leftovers, on whatever machine it ran.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from toolkit.config import Database
from toolkit.config.databases import for_libpq
from toolkit.engines.postgresql.errors import known_error

KEPT_DAYS = 7


class PostgresTemplates:
    """One connection to the server, from which databases are made and dropped.

    With `rebuild`, the name of a run, only templates that were made in it are used.
    """

    def __init__(self, database: Database, project: str, rebuild: str | None = None) -> None:
        self._database = database
        self._rebuild = rebuild
        self._url = database.url
        self._numbers = count()
        self._prefix = f"toolkit_{project}_"
        self._process = secrets.token_hex(4)
        with self._in_own_words():
            self._connection = psycopg.connect(for_libpq(self._url), autocommit=True)
        self._rows("SELECT pg_advisory_lock(%s)", self._key_of(self._process))
        self._remove_leftovers()

    def ensure(self, key: str, fill: Callable[[Database], None]) -> None:
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

    def clone(self, key: str) -> Database:
        """A new database like the template."""
        # No STRATEGY: the server's own default since version 15, WAL_LOG, takes 17 ms where FILE_COPY takes 51
        # (PostgreSQL 18 with default settings, the bundled fixtures); versions before know no other.
        name = self._new_name()
        self._run("CREATE DATABASE {} TEMPLATE {}", Identifier(name), Identifier(f"{self._prefix}seed_{key}"))
        return self._at(name)

    def drop(self, database: Database) -> None:
        """Drop a clone, whoever is still connected to it."""
        self._drop(database.url.database or "")

    def close(self) -> None:
        """Drop what this process made, except for templates."""
        if not self._connection.closed:
            for name in self._names(f"{self._prefix}run_{self._process}_"):
                self._drop(name)
            self._connection.close()

    def _make(self, template: str, fill: Callable[[Database], None]) -> None:
        name = self._new_name()
        self._run("CREATE DATABASE {}", Identifier(name))
        made = self._at(name)
        try:
            fill(made)
        except BaseException:
            self._drop(name)
            raise
        finally:
            made.engine.dispose()
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

    def _at(self, name: str) -> Database:
        from sqlalchemy import make_url

        # The address, not the URL made from it: an application's own driver and its options stay.
        url = self._url if self._database.is_embedded else make_url(self._database.address)
        return replace(self._database, address=url.set(database=name).render_as_string(hide_password=False))

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
