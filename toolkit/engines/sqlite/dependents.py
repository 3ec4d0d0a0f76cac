"""What in a database of SQLite depends on its tables, and does not work."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


_NUMBERS = count()
# What only the application's own connections have; and a view has no triggers but those for some events.
_OF_THE_CONNECTION = re.compile(r"no such (?!table|column|view)|function|cannot modify|unable to open|unknown database")


def broken_dependents(connection: Connection, schema: str, parent: str | None) -> dict[str, str]:
    """The views that cannot be read and the triggers that cannot run, with SQLite's reason.

    With a `parent`, also the tables whose foreign keys point at what is no key of it; that reads their rows.
    """
    broken: dict[str, str] = {}
    for label, statement in [*_probes(connection, schema, parent)]:
        try:
            # Python's driver keeps statements, and of EXPLAIN SQLite does not see that the schema is another by now.
            connection.exec_driver_sql(f"{statement} -- {next(_NUMBERS)}").close()
        except DBAPIError as error:
            if not _OF_THE_CONNECTION.search(str(error.orig)):
                broken.setdefault(label, str(error.orig))
    return broken


def orphaned(connection: Connection) -> dict[str, str]:
    """The tables whose foreign keys point at a table that is not there: no row of theirs could be written."""
    rows = connection.exec_driver_sql(
        'SELECT child.name, of."table" FROM sqlite_master AS child, pragma_foreign_key_list(child.name) AS of '
        "WHERE child.type = 'table' "
        "AND lower(of.\"table\") NOT IN (SELECT lower(name) FROM sqlite_master WHERE type = 'table')"
    ).all()
    return {f"the foreign key of {child}": f"there is no table {parent}" for child, parent in rows}


def _probes(connection: Connection, schema: str, parent: str | None) -> Iterator[tuple[str, str]]:
    """Statements that SQLite refuses where something is wrong; to explain one is to compile it, and changes nothing."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    run = connection.exec_driver_sql
    master = f"{quote(schema)}.sqlite_master"
    for (name,) in run(f"SELECT name FROM {master} WHERE type = 'view'").all():
        yield f"the view {name}", f"EXPLAIN SELECT * FROM {quote(schema)}.{quote(name)}"
    for name, of in run(f"SELECT name, tbl_name FROM {master} WHERE type = 'trigger'").all():
        target = f"{quote(schema)}.{quote(of)}"
        try:
            columns = run("SELECT name FROM pragma_table_xinfo(?, ?) WHERE hidden = 0", (of, schema)).all()
        except DBAPIError:
            # Of a view that cannot be read, which is told.
            continue
        sets = ", ".join(f"{quote(each)} = {quote(each)}" for (each,) in columns)
        for event in (f"DELETE FROM {target}", f"INSERT INTO {target} DEFAULT VALUES", f"UPDATE {target} SET {sets}"):
            yield f"the trigger {name}", f"EXPLAIN {event}"
    if parent is None:
        return
    children = run(
        f"SELECT DISTINCT child.name FROM {master} AS child, pragma_foreign_key_list(child.name, ?) AS of "
        "WHERE child.type = 'table' AND lower(of.\"table\") = lower(?)",
        (schema, parent),
    ).all()
    for (name,) in children:
        yield f"the foreign key of {name}", f"PRAGMA {quote(schema)}.foreign_key_check({quote(name)})"
