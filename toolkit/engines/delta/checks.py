"""What Delta does not keep by itself: keys, unique columns, NOT NULL and checks, of rows that are in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.engines.delta.rewriting import STAGED
from toolkit.engines.delta.tables import LakeTable, quoted
from toolkit.errors import UniqueConflictError, UnnamedRowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolkit.engines.duckdb.table import DuckDBRepository

_CONSTRAINTS = """
SELECT constraint_type, constraint_column_names, expression FROM duckdb_constraints()
WHERE database_name = current_database() AND table_name = ?
"""


def require_kept(
    table: DuckDBRepository, lake: LakeTable, keys: Sequence[tuple[str, ...]], *, staged: bool = False
) -> None:
    """Check all rows, or (`staged`) that no other row has a unique value of those that were written last.

    Raises:
        UnnamedRowError: a row breaks a constraint; `why_refused` finds it.
        UniqueConflictError: two rows have one unique value.
    """
    for key in keys:
        if not staged or {*key} != {*table.spec.key}:
            _require_unique(table, lake, key, staged=staged)
    if staged:
        return
    raw, name = table.connection.raw, quoted(table.table.name)
    for kind, columns, expression in raw.execute(_CONSTRAINTS, [table.table.name]).fetchall():
        broken: str | None = None
        if kind in ("NOT NULL", "PRIMARY KEY"):
            broken = " OR ".join(f"{quoted(each)} IS NULL" for each in columns)
        elif kind == "CHECK":
            broken = f"NOT ({expression})"
        if broken and raw.execute(f"SELECT 1 FROM {name} WHERE {broken} LIMIT 1").fetchall():
            shown = ", ".join(columns)
            reason = f"NULL in {shown}" if kind != "CHECK" else f"CHECK constraint failed: {expression}"
            raise UnnamedRowError(table.connection.name, reason)


def require_unique(table: DuckDBRepository, lake: LakeTable, keys: Sequence[tuple[str, ...]]) -> None:
    """Check that of all rows no two have one unique value.

    Raises:
        UniqueConflictError: two have.
    """
    for key in keys:
        _require_unique(table, lake, key, staged=False, names=True)


def _require_unique(
    table: DuckDBRepository, lake: LakeTable, key: tuple[str, ...], *, staged: bool, names: bool = False
) -> None:
    raw = table.connection.raw
    view = quoted(table.table.name)
    cells = [quoted(each) for each in key]
    present = " AND ".join(f"{each} IS NOT NULL" for each in cells)
    among = ""
    if staged:
        wanted = ", ".join(f"{lake.forms[each].typed(quoted(each))} AS {quoted(each)}" for each in key)
        among = f" SEMI JOIN (SELECT {wanted} FROM {STAGED}) AS staged USING ({', '.join(cells)})"
    query = (
        f"SELECT {', '.join(cells)} FROM {view}{among} WHERE {present} "
        f"GROUP BY {', '.join(cells)} HAVING count(*) > 1 LIMIT 1"
    )
    found: list[Any] = raw.execute(query).fetchall()
    if not found:
        return
    shown = ", ".join(map(str, found[0]))
    if not staged and not names:
        raise UnnamedRowError(table.connection.name, f'Duplicate key "{shown}" violates a unique constraint')
    match = " AND ".join(f"{each} = ?" for each in cells)
    own = [quoted(each) for each in table.spec.shown_key]
    rows = raw.execute(f"SELECT {', '.join(own)} FROM {view} WHERE {match} LIMIT 2", list(found[0])).fetchall()
    named = [", ".join(f"{n}={v}" for n, v in zip(table.spec.shown_key, row, strict=True)) for row in rows]
    raise UniqueConflictError(table.connection.name, table.spec.name, ", ".join(key), shown, named)
