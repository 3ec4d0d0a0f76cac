"""What a role may not read, and what it does not see."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import pymysql

from toolkit.core.schema import Note
from toolkit.engines.catalogue import StoredTable
from toolkit.engines.mariadb.errors import DENIED, number_of
from toolkit.engines.mariadb.session import MariaDBSession

_GRANT = "Give the role the right (GRANT SELECT ON {} TO …)"
_SOME = "This role has rights on single tables. Others, of which the server tells it nothing, would not be carried."
_UNTOLD = "This role lacks {}: of the database's {} the server may tell it nothing. Only tables are carried."
# A line of SHOW GRANTS of all databases, or of those that a pattern names; not of a table, a routine or a proxy.
_LINE = re.compile(r"GRANT (?P<rights>.+?) ON (?P<place>\*|[`\"].+[`\"])\.\* TO (?P<whom>\S+)")
_PART = re.compile(r"\\.|.", re.DOTALL)
_WILD = {"%": ".*", "_": "."}
_ALL = "ALL PRIVILEGES"
_NO_GRANTS = 1290
# Any of these on a table lets a role see that its foreign keys are there.
_OF_TABLES = frozenset(
    {
        *("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE VIEW"),
        *("SHOW VIEW", "TRIGGER", "DELETE HISTORY"),
    }
)
# By what a database has beside its tables, the rights of which one lets a role see it (tried with MariaDB 10.11).
_SHOWN_BY = {
    "triggers": ("TRIGGER",),
    "routines": ("EXECUTE", "ALTER ROUTINE", "CREATE ROUTINE", "SHOW CREATE ROUTINE"),
    "events": ("EVENT",),
}


def unread(connection: MariaDBSession, stored: Sequence[StoredTable]) -> Iterator[Note]:
    """The tables of which not all columns may be read: the catalogue leaves out the others without a word."""
    for each in stored:
        try:
            connection.run(f"SELECT * FROM {quoted(connection, each.name)} LIMIT 0")
        except pymysql.MySQLError as error:
            if number_of(error) not in DENIED:
                raise
            name = each.name
            yield Note(name, "table", "This role may not read all of it.", remedy=_GRANT.format(name))


def unseen(connection: MariaDBSession) -> Iterator[Note]:
    """That there may be tables which the role does not even see, or triggers, routines and events."""
    [(name,)] = connection.run("SELECT database()")
    rights = _rights(connection, name)
    if not _has(rights, ("SELECT",)):
        yield Note(name, "grants", _SOME)
    lacking = {what: given[0] for what, given in _SHOWN_BY.items() if not _has(rights, given)}
    # Who may read the server's own table of routines sees all of them.
    if "routines" in lacking and _has(_rights(connection, "mysql"), ("SELECT",)):
        del lacking["routines"]
    if lacking:
        yield Note(name, "grants", _UNTOLD.format(", ".join(lacking.values()), ", ".join(lacking)))


def sees_all(connection: MariaDBSession) -> bool:
    """Whether the server tells the role of the foreign keys of all databases."""
    return _has(_rights(connection, None), _OF_TABLES)


def _rights(connection: MariaDBSession, database: str | None) -> frozenset[str]:
    """What the role may do with a database, or with all of them, be it by its own grants or by those of active roles.

    By SHOW GRANTS: the catalogue tells nothing of what comes by a role, and to some what others may do.
    """
    found: set[str] = set()
    met: set[str] = set()
    for line in _grants(connection):
        given = _LINE.match(line)
        if given is None:
            continue
        rights, place, whom = given.groups()
        # Of several patterns that name a database, the first is the one that counts: it is the closest.
        if place != "*" and (whom in met or database is None or not _names(place, database)):
            continue
        met |= {whom} if place != "*" else set()
        found |= {*rights.split(", ")}
    return frozenset(found)


def _grants(connection: MariaDBSession) -> Iterator[str]:
    try:
        yield from (line for (line,) in connection.run("SHOW GRANTS"))
    except pymysql.MySQLError as error:
        # A server without rights, on which everybody may do all.
        if number_of(error) != _NO_GRANTS:
            raise
        yield f"GRANT {_ALL} ON *.* TO everybody"


def _names(quoted_pattern: str, database: str) -> bool:
    """Whether the pattern of a grant names a database."""
    mark = quoted_pattern[0]
    parts = _PART.findall(quoted_pattern[1:-1].replace(mark * 2, mark))
    return re.fullmatch("".join(_WILD.get(each) or re.escape(each[-1]) for each in parts), database) is not None


def _has(rights: Collection[str], of: Collection[str]) -> bool:
    """Whether one of some is among these."""
    return _ALL in rights or not {*rights}.isdisjoint(of)


def quoted(connection: MariaDBSession, name: str) -> str:
    """A name in a statement for `run`."""
    # `run` takes a percent sign for one.
    return connection.sqlalchemy.dialect.identifier_preparer.quote_identifier(name).replace("%%", "%")
