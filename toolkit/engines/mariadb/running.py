"""Transactions that run beside a snapshot of MariaDB: what they commit later may seem older than what it shows."""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import TYPE_CHECKING, Any

from toolkit.engines.catalogue import RunningTransaction
from toolkit.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolkit.engines.mariadb.session import MariaDBSession

# Whoever may not see all processes is refused. A transaction has a number from its first write on; before that it is
# known by its session, and when that began it. One whose session is gone was prepared (XA), and may be any. When it
# began is told in the zone of the server's system, whose change makes all ages unknown.
_RUNNING = """
SELECT t.trx_id AS number, t.trx_mysql_thread_id AS session, t.trx_started AS started,
       TIMESTAMPDIFF(SECOND, CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()) AS age,
       TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', 'SYSTEM'))
       = TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP() - INTERVAL 1 DAY,
                       CONVERT_TZ(UTC_TIMESTAMP() - INTERVAL 1 DAY, '+00:00', 'SYSTEM')) AS is_steady,
       t.trx_id <> 0 OR t.trx_tables_locked > 0 OR t.trx_rows_modified > 0 AS writes
FROM information_schema.innodb_trx AS t
"""
_SECOND = dt.timedelta(seconds=1)
# What the server tells of transactions stays as it is until nobody has asked for so long. Of two who ask after as long
# again and again, neither is ever told anything new: each waits for longer, and by chance.
_CACHED_SECONDS, _LONGEST, _ATTEMPTS = 0.11, 6, 25


def running_transactions(connection: MariaDBSession, begin: Callable[[], None]) -> list[RunningTransaction]:
    """The transactions of others that the snapshot does not show, which `begin` takes anew.

    They are looked at before it and after it. One that was begun and ended in between is in neither: it stands for
    all of these, with the time that passed; whoever waits for the next snapshot has them.

    Raises:
        PrivilegeError: the role may not see transactions.
        DatabaseUnavailableError: the server does not tell of new ones.
    """
    with connection.translated():
        started, number = time.monotonic(), _last_number(connection)
        before = _listed(connection)
        begin()
        is_quiet = _last_number(connection) == number
        after = _listed(connection)
        passed = dt.timedelta(seconds=time.monotonic() - started)
    found = {each.ids: each for each in [*before, *after]}
    between = RunningTransaction(frozenset({f"b{time.time_ns()}"}), passed, writes=True)
    return [*found.values()] if is_quiet else [*found.values(), between]


def _last_number(connection: MariaDBSession) -> str:
    """What is counted up whenever a transaction begins to write."""
    [(_, number)] = connection.run("SHOW GLOBAL STATUS LIKE 'Innodb_max_trx_id'")
    return str(number)


def _listed(connection: MariaDBSession) -> list[RunningTransaction]:
    """All of others, as of now: what is told is of now as soon as this session's own one is among them."""
    [(own,)] = connection.run("SELECT CONNECTION_ID()")
    for attempt in range(_ATTEMPTS):
        time.sleep(_CACHED_SECONDS * random.uniform(1, 1 + min(attempt, _LONGEST)))  # noqa: S311 - nothing is kept secret by it
        rows = connection.run(_RUNNING)
        if any(row[1] == own for row in rows):
            return [_transaction(*row) for row in rows if row[1] != own]
    raise DatabaseUnavailableError(
        connection.name,
        "the server does not report which transactions run, as others ask it for that all the time",
        "Run again, or leave out --since: all rows are compared then.",
    )


def _transaction(
    number: int, session: int, started: Any, age: int | None, steady: int, writes: int
) -> RunningTransaction:
    ids = {f"x{number}"} if number else set()
    if session:
        ids.add(f"s{session}@{started}".replace(" ", "T"))
    known = None if age is None or not steady else dt.timedelta(seconds=age) + _SECOND
    return RunningTransaction(frozenset(ids), known, bool(writes), has_session=bool(session))
