"""What a role may not read, and what it does not see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pymysql
import sqlalchemy as sa

from toolkit.core.schema import Note
from toolkit.engines.catalogue import StoredTable
from toolkit.engines.mariadb.errors import DENIED, number_of
from toolkit.engines.mariadb.session import MariaDBSession

_GRANT = "Give the role the right (GRANT SELECT ON {} TO …)"
_SOME = "This role has rights on single tables. Others, of which the server tells it nothing, would not be carried."
# Rights on all databases, and on this one, whose name may be given as a pattern.
_ON_ALL = """
SELECT 1 FROM information_schema.user_privileges AS u WHERE u.privilege_type = 'SELECT'
UNION ALL
SELECT 1 FROM information_schema.schema_privileges AS s
WHERE s.privilege_type = 'SELECT' AND database() LIKE s.table_schema
LIMIT 1
"""


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
    """That there may be tables which the role does not even see."""
    if not connection.sqlalchemy.execute(sa.text(_ON_ALL)).all():
        [(name,)] = connection.run("SELECT database()")
        yield Note(str(name), "grants", _SOME)


def quoted(connection: MariaDBSession, name: str) -> str:
    """A name in a statement for `run`."""
    # `run` takes a percent sign for one.
    return connection.sqlalchemy.dialect.identifier_preparer.quote_identifier(name).replace("%%", "%")
