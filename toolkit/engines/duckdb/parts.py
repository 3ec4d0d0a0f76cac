"""Tables of DuckDB cut by row number, along its row groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING

import duckdb

from toolkit.engines.contract import Part

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.duckdb.session import DuckDBSession


def cut(connection: DuckDBSession, spec: TableSpec, table: str, size: int, row_group: int) -> Sequence[Part]:
    """A table in ranges of whole row groups; how many is told by the size of the file. A view is one part."""
    file = connection.database.file
    count = 1 if file is None else ceil(file.stat().st_size / size)
    if count <= 1 or "rowid" in {name.lower() for name in connection.columns(spec) or ()}:
        return (Part(0),)
    try:
        ((last,),) = connection.raw.execute(f"SELECT max(rowid) FROM {table}").fetchall()
    except duckdb.BinderException:
        return (Part(0),)
    if not last:
        return (Part(0),)
    step = row_group * ceil(ceil((last + 1) / count) / row_group)
    bounds = [None, *range(step, last + 1, step), None]
    return tuple(Part(i, _between(low, high)) for i, (low, high) in enumerate(pairwise(bounds)))


def _between(low: int | None, high: int | None) -> str | None:
    ends = [f"rowid >= {low}"] if low is not None else []
    ends += [f"rowid < {high}"] if high is not None else []
    return " AND ".join(ends) or None
