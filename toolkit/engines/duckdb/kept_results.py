"""Results of DuckDB that the next statement on their connection does not end."""

from __future__ import annotations

from collections import deque

import duckdb_engine
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy
from sqlalchemy.engine.interfaces import ExecuteStyle

from toolkit.engines.portable.streamed import STREAMED


class ExecutionContext(duckdb_engine.Dialect.execution_ctx_cls):  # type: ignore[misc, valid-type]
    """Fetches the rows of a query at once, unless whoever asks executes nothing until they are read (`STREAMED`).

    All cursors of duckdb-engine are one: whoever goes through rows and executes something for each would see the first
    alone, without an error.
    """

    def post_exec(self) -> None:
        """Fetch them."""
        super().post_exec()
        # SQLAlchemy itself fetches at once what an INSERT of many rows returns.
        is_fetched = self.execute_style is ExecuteStyle.INSERTMANYVALUES or not self.cursor.description
        if not is_fetched and STREAMED not in self.execution_options:
            rows = deque(self.cursor.fetchall())
            self.cursor_fetch_strategy = FullyBufferedCursorFetchStrategy(self.cursor, initial_buffer=rows)
