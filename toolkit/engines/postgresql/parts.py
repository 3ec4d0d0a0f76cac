"""Tables of PostgreSQL cut by where their rows lie, and snapshots that several sessions share.

A sixteenth of a table by ranges of blocks reads 4,865 pages, by ranges of a random key all 77,849.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import sqlalchemy as sa
from psycopg import errors as pg

from toolkit.engines.contract import Part
from toolkit.engines.postgresql.sql import literal, qualified
from toolkit.errors import SnapshotLostError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec

# The first version that reads a range of blocks without reading all others.
_RANGE_SCANS = 140_000
_BLOCKS = """
WITH RECURSIVE places AS (
    SELECT to_regclass(:table)::oid AS id
    UNION SELECT inhrelid FROM places JOIN pg_inherits ON inhparent = id
)
SELECT coalesce(bool_and(relkind = 'p' OR relkind IN ('r', 'm') AND amname = 'heap'), false),
    coalesce(max(pg_relation_size(c.oid) / current_setting('block_size')::int), 0)::bigint,
    coalesce(sum(pg_table_size(c.oid)), 0)::bigint
FROM places JOIN pg_class AS c ON c.oid = id LEFT JOIN pg_am ON pg_am.oid = relam
"""


class Reading(Protocol):
    """A session, as far as it is asked here."""

    @property
    def raw(self) -> psycopg.Connection[Any]:
        """The driver's connection."""

    @property
    def sqlalchemy(self) -> sa.Connection:
        """SQLAlchemy's."""

    def translated(self) -> AbstractContextManager[None]:
        """Turn errors into this package's."""


def cut(connection: Reading, spec: TableSpec, size: int) -> Sequence[Part]:
    """A table in ranges of blocks of about so many bytes, with what is stored beside them; those of partitions too.

    Whoever reads as of a moment finds the rows of that moment where they were, and none beyond the blocks that there
    are now: they stay until nobody can see them any more.
    """
    with connection.translated():
        found = connection.sqlalchemy.execute(sa.text(_BLOCKS), {"table": qualified(spec.table)}).one()
    is_heap, blocks, taken = found
    number = ceil(taken / size)
    if not is_heap or number <= 1 or blocks <= 1 or connection.raw.info.server_version < _RANGE_SCANS:
        return (Part(0),)
    step = ceil(blocks / number)
    bounds = [None, *range(step, blocks, step), None]
    return tuple(Part(i, _between(first, last)) for i, (first, last) in enumerate(pairwise(bounds)))


def _between(first: int | None, last: int | None) -> str | None:
    ends = [f"ctid >= '({first},0)'::tid"] if first is not None else []
    ends += [f"ctid < '({last},0)'::tid"] if last is not None else []
    return " AND ".join(ends) or None


def join(name: str, connection: psycopg.Connection[Any], shared: str) -> None:
    """See what another's transaction sees; the first thing that a transaction does.

    Raises:
        SnapshotLostError: it has ended.
    """
    try:
        connection.execute(f"SET TRANSACTION SNAPSHOT {literal(shared)}")
    except (pg.InvalidParameterValue, pg.ObjectNotInPrerequisiteState, pg.UndefinedObject) as error:
        raise SnapshotLostError(name, error.diag.message_primary or "it is not there") from error
