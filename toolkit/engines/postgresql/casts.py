"""Whether values of a model's type can be cast to a column's type in PostgreSQL, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from toolkit.core.tables import ColumnSpec
from toolkit.engines.postgresql.adapters import CODEC

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


def is_castable(postgres: PostgresSession, column: ColumnSpec, actual: str) -> bool:
    """Whether NULL, as what is sent of a column, can be cast to its type there, and be read from it."""
    adapter = CODEC.adapter(column)
    if adapter.takes(actual):
        return True
    version = postgres.raw.info.server_version
    stored, sent = f"(NULL::{actual})", f"(NULL::{adapter.wire_for(actual)})"
    query = f"SELECT {adapter.store(sent, actual)}, {adapter.fetch(stored)}, {adapter.digest(stored, version)}"
    try:
        with postgres.raw.transaction(force_rollback=True):
            postgres.run(query)
    except psycopg.errors.CannotCoerce:
        return False
    except psycopg.IntegrityError:
        return True  # It is a domain without NULL.
    except psycopg.ProgrammingError:
        return True  # It is no cast that is wanting; whatever it is shows when rows are written.
    return True
