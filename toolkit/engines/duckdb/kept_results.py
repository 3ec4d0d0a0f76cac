"""Results of DuckDB that the next statement on their connection does not end."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.engine.interfaces import ExecuteStyle

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection


def keep_results(connection: Connection) -> Callable[[], None]:
    """Fetch the rows of each query at once; returned is what undoes this.

    All cursors of duckdb-engine are one: whoever goes through rows and executes something for each would see the first
    alone, without an error.
    """
    event.listen(connection, "after_cursor_execute", _fetch)
    return partial(event.remove, connection, "after_cursor_execute", _fetch)


def _fetch(_: Connection, cursor: Any, *args: Any) -> None:
    context = args[2]
    # SQLAlchemy itself fetches at once what an INSERT of many rows returns.
    if context is None or context.execute_style is ExecuteStyle.INSERTMANYVALUES or not cursor.description:
        return
    context.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=deque(cursor.fetchall()))
