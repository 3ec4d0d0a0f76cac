"""Addresses of PostgreSQL: as SQLAlchemy and libpq read them, and where the server is that they name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL

EMBEDDED = "embedded:"
"""What the address of a server begins with that the toolkit starts; the rest is its directory."""
# What only asyncpg understands in a URL, and the name that libpq has for it, if any.
_ASYNCPG_OPTIONS: Mapping[str, str | None] = {
    "ssl": "sslmode",
    "async_fallback": None,
    "command_timeout": None,
    "prepared_statement_cache_size": None,
    "prepared_statement_name_func": None,
    "statement_cache_size": None,
}
# Whether the other end of a silent connection is still there is asked after 30 seconds, and given up after a minute;
# by default, operating systems wait for two hours.
_KEEPALIVES: Mapping[str, str] = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}


def without_asyncpg(url: URL) -> URL:
    """The same URL without what only asyncpg understands."""
    if url.drivername.partition("+")[2] != "asyncpg":
        return url
    query = {_ASYNCPG_OPTIONS.get(key, key): value for key, value in url.query.items()}
    return url.set(query={key: value for key, value in query.items() if key is not None})


def hiding_password(url: URL) -> URL:
    """The same URL with the password where SQLAlchemy knows it for one."""
    query = dict(url.query)
    if "password" not in query:
        return url
    user, password = query.pop("user", url.username), query.pop("password")
    return url.set(username=str(user) if user else None, password=str(password), query=query)


def for_libpq(url: URL) -> str:
    """A URL as libpq reads it: to it a `+` in a parameter is no space, as SQLAlchemy writes one."""
    place, mark, parameters = url.set(drivername="postgresql").render_as_string(hide_password=False).partition("?")
    return place + mark + parameters.replace("+", "%20")


def server_of(url: URL) -> str:
    """Where the server is: host and port, or the connection service that knows them."""
    given, port = url.query, url.port
    host = url.host or given.get("host")
    if not host and "service" in given:
        return f"service {given['service']}"
    return f"{host or 'localhost'}:{port or given.get('port') or 5432}"


def libpq_options(url: URL) -> Mapping[str, str]:
    """What to tell libpq about a connection; who it is in `pg_stat_activity`, unless the user says otherwise.

    The encoding from the first statement on: of a database of SQL_ASCII psycopg gives bytes for each text, of which
    SQLAlchemy cannot read the server's version.
    """
    return {"fallback_application_name": "toolkit", "client_encoding": "UTF8", **_keepalives(url)}


def _keepalives(url: URL) -> Mapping[str, str]:
    """What to tell libpq about a connection over a network, unless the URL does."""
    host = str(url.host or url.query.get("host") or url.query.get("service") or "/")
    return {} if host.startswith("/") else {k: v for k, v in _KEEPALIVES.items() if k not in url.query}
