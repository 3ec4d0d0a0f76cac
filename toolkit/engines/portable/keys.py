"""What an upsert rests on in the target: a key of the columns that rows are found by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from shlex import quote as shell

from toolkit.core.tables import TableSpec
from toolkit.engines.contract import Connection
from toolkit.errors import SchemaMismatchError


def require_keys(connection: Connection, specs: Iterable[TableSpec]) -> None:
    """Check that rows of these tables can be upserted by their keys.

    Raises:
        SchemaMismatchError: all tables that lack what that rests on, in one error.
    """
    lacking = [spec for spec in specs if not connection.repository(spec).has_key()]
    if not lacking:
        return
    raise SchemaMismatchError(
        [
            f"{connection.name}.{spec.name} has no primary key or unique index of {', '.join(spec.key)}, by which rows "
            "are updated"
            for spec in lacking
        ],
        _key_advice(connection, lacking),
    )


def _key_advice(connection: Connection, lacking: Sequence[TableSpec]) -> str:
    """How these tables get the keys that they lack."""
    if not connection.capabilities.takes_keys:
        names = " ".join(f"--rename {shell(spec.name)}={shell(f'{spec.table.name}_2')}" for spec in lacking)
        return (
            f"Only tables that the toolkit makes have keys there: name others, which it makes ({names}), or move these "
            "away."
        )
    quote = connection.sqlalchemy.dialect.identifier_preparer
    statements = (
        f"CREATE UNIQUE INDEX {quote.quote(f'{spec.table.name}_key')} ON {quote.format_table(spec.table)} "
        f"({', '.join(map(quote.quote, spec.key))});"
        for spec in lacking
    )
    return f"Run there, without one that is deferrable or has a condition: {' '.join(statements)}"
