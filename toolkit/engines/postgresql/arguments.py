"""What an application's driver of PostgreSQL is given beside the URL, put into the URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolkit.engines.postgresql.urls import without_asyncpg
from toolkit.errors import EngineOptionError

if TYPE_CHECKING:
    from sqlalchemy import URL

# How psycopg, psycopg2, asyncpg and pg8000 work, and for how long they wait: not where, nor as whom.
_INDIFFERENT = frozenset(
    (
        "prepare_threshold",
        "autocommit",
        "row_factory",
        "cursor_factory",
        "connection_factory",
        "context",
        "timeout",
        "command_timeout",
        "statement_cache_size",
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "max_cached_statement_lifetime",
        "max_cacheable_statement_size",
        "async_fallback",
        "record_class",
        "loop",
        "connection_class",
        "tcp_keepalive",
        "server_settings",
        "ssl",
    )
)
_PARTS = {"user": "username", "password": "password", "host": "host", "port": "port", "dbname": "database"}
_SECURE = "with sslmode, sslrootcert, sslcert and sslkey in place of an SSLContext"


def with_arguments(name: str, url: URL, arguments: Mapping[str, Any]) -> URL:
    """The URL with these arguments of a driver's `connect`, for libpq.

    Raises:
        EngineOptionError: one that libpq has no word for, by its name; values may be secrets.
    """
    given = {"dbname" if key == "database" else str(key): value for key, value in arguments.items()}
    if not given:
        return url
    url = without_asyncpg(url).set(drivername=url.get_backend_name())
    unknown = given.keys() - _INDIFFERENT - _keywords()
    if unknown:
        raise EngineOptionError(
            name,
            f"is given {', '.join(sorted(unknown))}, which cannot be taken over",
            _SECURE if any("ssl" in key for key in unknown) else "",
        )
    settings = dict(given.get("server_settings") or {})
    options = [given.get("options", url.query.get("options"))] if {"options"} & {*given, *url.query} else []
    options += [f"-c{key}={_escaped(str(value))}" for key, value in settings.items()]
    said = {key: value for key, value in given.items() if key not in _INDIFFERENT and value is not None}
    parts = {_PARTS[key]: said.pop(key) for key in _PARTS if _is_part(key, said.get(key))}
    query = {key: _text(value) for key, value in said.items()} | _tls(name, given.get("ssl"))
    if options:
        query["options"] = " ".join(map(str, options))
    if "port" in parts:
        parts["port"] = int(parts["port"])
    if "host" in query:
        url = url.set(host="", port=None).update_query_dict({"port": str(url.port)} if url.port else {})
    return url.set(**parts).update_query_dict(query)


def _is_part(key: str, value: Any) -> bool:
    """Whether it has a place of its own in a URL; several hosts and a socket's directory have none."""
    return value is not None and not (key in ("host", "port") and re.search(r"[/,\[]|^@", _text(value)))


def _keywords() -> frozenset[str]:
    """All that libpq knows, of the version that is used here."""
    from psycopg.pq import Conninfo

    return frozenset(each.keyword.decode() for each in Conninfo.get_defaults())


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _escaped(value: str) -> str:
    """A value in libpq's `options`, where spaces end one."""
    return re.sub(r"([\\\s])", r"\\\1", value)


def _tls(name: str, ssl: Any) -> dict[str, str]:
    """What asyncpg's `ssl` means: True is a certificate that the system trusts, of that host."""
    if ssl is None:
        return {}
    if isinstance(ssl, bool):
        return {"sslmode": "verify-full", "sslrootcert": "system"} if ssl else {"sslmode": "disable"}
    if isinstance(ssl, str):
        return {"sslmode": ssl}
    raise EngineOptionError(name, f"is given ssl as {type(ssl).__name__}, which cannot be taken over", _SECURE)
