"""Which number a table gives out next: set by a statement that ends a transaction, and so behind the commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import sqlalchemy as sa

from toolkit.core.verbatim import verbatim
from toolkit.engines.mariadb.catalogue import next_number
from toolkit.engines.mariadb.dialect import DIALECT

# Whoever reads the table keeps it from being altered, and whoever comes later would wait for us: so many seconds.
_WAITED = 1


def advance(engine: sa.Engine, numbers: Mapping[str, tuple[sa.Table, int]]) -> Iterator[tuple[str, str]]:
    """Let tables give out these numbers next, or later ones; of those of which that fails, why."""
    with engine.connect() as connection:
        for shown, (table, number) in numbers.items():
            following = next_number(connection, table)
            if following is None or following >= number:
                continue
            name = DIALECT.identifier_preparer.format_table(table).replace("%%", "%")
            try:
                connection.execute(verbatim(f"ALTER TABLE {name} WAIT {_WAITED} AUTO_INCREMENT = {number}"))
            except sa.exc.DBAPIError as error:
                fact = f"{shown} gives out {following} next, which was given out before ({error.orig})."
                yield shown, f"{fact} Run there: ALTER TABLE {name} AUTO_INCREMENT = {number}"
