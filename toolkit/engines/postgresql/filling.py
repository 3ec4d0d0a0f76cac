"""A part of a table, written by a session of its own: once, whatever becomes of those that tried before."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from psycopg import errors as pg

from toolkit.core.digest import TableDigest, digest_passthrough
from toolkit.engines.contract import Loaded, Table
from toolkit.engines.postgresql.connection import PostgresConnection
from toolkit.engines.postgresql.copy import RowCopy
from toolkit.engines.postgresql.ledger import Ledger, end_sessions, run_spec, session_name
from toolkit.engines.postgresql.passthrough import are_alike, beside, send
from toolkit.engines.postgresql.sql import literal
from toolkit.engines.postgresql.table import PostgresRepository
from toolkit.errors import DatabaseUnavailableError, FencedError, VerificationError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec


class FillingConnection(PostgresConnection):
    """A session that writes parts, beside others: the right to write is their coordinator's."""

    _keeps_number = False

    def _take_turn(self) -> None:
        if self._is_pooled:
            raise DatabaseUnavailableError(
                self.name,
                "parts need sessions of their own, and a pooler such as PgBouncer stands before the server",
                "Connect to the server itself, or run without --workers.",
            )

    def fill(self, spec: TableSpec, run: str, part: int, source: Table) -> Loaded:
        """Copy the rows of a part into a run's new table, unless that is done."""
        attempt, done = self._begun(spec, run, part)
        if done is not None:
            return done
        try:
            self._keeps_number = True
            return self._written(spec, run, part, attempt, source)
        except (pg.InFailedSqlTransaction, sa.exc.InternalError):
            # A row is refused, and looked for where a savepoint undoes what that has ended.
            self.sqlalchemy.rollback()
            self._begin()
            self._keeps_number = False
            return self._written(spec, run, part, attempt, source)
        finally:
            self._keeps_number = False

    def _written(self, spec: TableSpec, run: str, part: int, attempt: int, source: Table) -> Loaded:
        """Copy the part, with its line in the ledger, and commit."""
        started = time.perf_counter()
        ledger = Ledger(self.raw, spec, run)
        with self.translated():
            if not ledger.claim(part, attempt):
                raise FencedError(spec.name, part, attempt)
        digest = self._copied(run_spec(spec, run), source)
        loaded = Loaded(part, digest, attempt, time.perf_counter() - started)
        with self.translated():
            ledger.write(loaded)
        self.commit()
        return loaded

    def savepoint(self) -> AbstractContextManager[Any]:
        """None while a part is copied: its rows would carry another number than the one by which they are undone."""
        return nullcontext() if self._keeps_number else super().savepoint()

    def _begun(self, spec: TableSpec, run: str, part: int) -> tuple[int, Loaded | None]:
        """End whoever was at this part before, and count the attempt."""
        ledger = Ledger(self.raw, spec, run)
        with self.translated():
            # Before its row is waited for, that one which is frozen holds.
            end_sessions(self.raw, run, part)
            attempt, done = ledger.begin_attempt(part)
            # With the commit it lasts; a transaction that is rolled back would take it along.
            self.run(f"SET application_name = {literal(session_name(run, part, attempt))}")
        self.commit()
        return attempt, done

    def _copied(self, new: TableSpec, source: Table) -> TableDigest:
        """Copy the rows; the digest of what the source has."""
        if isinstance(source, PostgresRepository) and are_alike(
            new, source.connection.facts(source.spec), self.facts(new)
        ):
            return self._passthrough(new, source)
        total = TableDigest()

        def seen(digest: TableDigest) -> None:
            nonlocal total
            total += digest

        facts = self.facts(new)
        types = {} if facts is None else {name: column.cast for name, column in facts.columns.items()}
        written = RowCopy(self, new, types).fill(digest_passthrough(new, source.read(), seen))
        self._require_all(new, written, total)
        return total

    def _passthrough(self, new: TableSpec, source: PostgresRepository) -> TableDigest:
        written = 0

        def copy() -> None:
            nonlocal written
            written = send(source.connection, source.source(source.name), self, new, lambda _: None)

        total = beside(source.connection, source.digest_query(), copy)
        self._require_all(new, written, total)
        return total

    def _require_all(self, new: TableSpec, written: int, total: TableDigest) -> None:
        if written != total.rows:
            raise VerificationError(self.name, new.name, f"{written:,} rows of a part arrived, of {total.rows:,}")
