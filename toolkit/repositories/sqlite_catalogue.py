"""SQLite's catalogue: `sqlite_schema` and its PRAGMAs, which know more than SQLAlchemy's reflection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.repositories.catalogue import StoredTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolkit.repositories.sqlite import SqliteConnection

# Without virtual tables, whose columns only their module knows, which may not be there.
_TABLES = r"""
SELECT t.name, t.sql LIKE 'CREATE VIRTUAL TABLE%' AS is_virtual, (
    SELECT json_group_array(x.name)
    FROM pragma_table_xinfo(CASE WHEN t.sql LIKE 'CREATE VIRTUAL TABLE%' THEN '' ELSE t.name END) AS x
) AS columns FROM sqlite_schema AS t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY t.name
"""
# What FTS3 to FTS5 and R*Tree keep their index in, in tables beside their own.
_SHADOWS = ("_config", "_content", "_data", "_docsize", "_idx", "_node", "_parent", "_rowid", "_segdir", "_segments",
            "_stat")  # fmt: skip


def stored_tables(connection: SqliteConnection) -> Iterator[StoredTable]:
    """All tables but SQLite's own and an index's; a full-text table only where the text itself is in it."""
    with connection.translated():
        rows = connection.sqlalchemy.execute(sa.text(_TABLES).columns(columns=sa.JSON)).all()
    names = {row.name for row in rows}
    shadows = {f"{row.name}{suffix}" for row in rows if row.is_virtual for suffix in _SHADOWS}
    for row in rows:
        if not row.is_virtual and row.name not in shadows:
            yield StoredTable(row.name, None, tuple(row.columns), row.name)
        elif row.is_virtual and (content := f"{row.name}_content") in names:
            yield StoredTable(row.name, None, (), content)
