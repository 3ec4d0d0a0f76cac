"""The views of a DuckDB database that cannot be read: DuckDB lets tables and columns go without regard to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from toolkit.engines.duckdb.schema import quoted

if TYPE_CHECKING:
    from collections.abc import Collection

_VIEWS = "SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal"


def broken_views(connection: Any, *, but: Collection[str] = (), ends_transaction: bool) -> dict[str, str]:
    """The views that do not work, with DuckDB's reason, but for those of these names.

    An error ends DuckDB's transaction: then it is the first one only.
    """
    broken: dict[str, str] = {}
    for schema, view in connection.execute(_VIEWS).fetchall():
        name = f"the view {view}"
        try:
            if name not in but:
                connection.execute(f"EXPLAIN SELECT * FROM {quoted(schema)}.{quoted(view)}").fetchall()
        except duckdb.Error as error:
            broken[name] = str(error).partition("\n")[0]
            if ends_transaction:
                break
    return broken
