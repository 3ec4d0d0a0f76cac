"""PyMySQL's connection, which gives no result up that is still being read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymysql

if TYPE_CHECKING:
    # Of the kind of its cursors, as its published types alone have it.
    Base = pymysql.Connection[Any]
else:
    Base = pymysql.Connection


class Connection(Base):
    """A connection whose unfinished results are errors: PyMySQL reads the rest away, and it would look like the end."""

    def _execute_command(self, command: Any, sql: Any) -> Any:
        result: Any = getattr(self, "_result", None)
        if result is not None and result.unbuffered_active:
            raise pymysql.err.InterfaceError(0, "rows of another statement are still being read on this connection")
        return super()._execute_command(command, sql)  # type: ignore[misc]
