"""What belongs to a database and not to what is in it: CREATE DATABASE … TEMPLATE leaves it behind."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

_SETTINGS = """
SELECT pg_get_userbyid(nullif(setrole, 0)), unnest(setconfig) FROM pg_db_role_setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = %s)
"""
_GRANTS = """
SELECT pg_get_userbyid(nullif(grantee, 0)), privilege_type, is_grantable FROM pg_database, aclexplode(datacl)
WHERE datname = %s
"""
_LIMIT = "SELECT datconnlimit FROM pg_database WHERE datname = %s AND datconnlimit >= 0"


def copy_properties(connection: psycopg.Connection[Any], source: str, target: str) -> None:
    """Give a database the settings (also of roles in it), grants and limit of connections of another."""
    copy = Identifier(target)
    for role, setting in connection.execute(_SETTINGS, (source,)).fetchall():
        whose = SQL("ALTER ROLE {} IN DATABASE {}").format(Identifier(role), copy) if role else None
        _set(connection, whose or SQL("ALTER DATABASE {}").format(copy), setting)
    grants = connection.execute(_GRANTS, (source,)).fetchall()
    if grants:
        connection.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(copy))
    for role, privilege, is_grantable in grants:
        to = Identifier(role) if role else SQL("PUBLIC")
        option = SQL(" WITH GRANT OPTION" if is_grantable else "")
        connection.execute(SQL("GRANT {} ON DATABASE {} TO {}{}").format(SQL(privilege), copy, to, option))
    for (limit,) in connection.execute(_LIMIT, (source,)).fetchall():
        connection.execute(SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(copy, Literal(limit)))


def _set(connection: psycopg.Connection[Any], whose: Composed, setting: str) -> None:
    name, _, value = setting.partition("=")
    variable = Identifier(*name.split("."))
    try:
        # By way of the session: a list, such as that of search_path, is not the text that it is kept as.
        with connection.transaction():
            connection.execute("SELECT set_config(%s, %s, true)", (name, value))
            connection.execute(SQL("{} SET {} FROM CURRENT").format(whose, variable))
    except psycopg.Error:
        # What no session may change.
        connection.execute(SQL("{} SET {} TO {}").format(whose, variable, Literal(value)))
