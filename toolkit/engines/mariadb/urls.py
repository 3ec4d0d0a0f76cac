"""Addresses of MariaDB: by whichever driver the application reaches it, and what PyMySQL is told."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import URL

DRIVER = "mysql+toolkit"
PORT = 3306
_ASYNCHRONOUS = ("asyncmy", "aiomysql")
# What a driver is given that changes neither which database is reached nor what is found there.
_INDIFFERENT = frozenset(
    {
        *(
            "charset",
            "use_unicode",
            "autocommit",
            "init_command",
            "sql_mode",
            "cursorclass",
            "conv",
            "maxsize",
            "minsize",
        ),
        *("echo", "pool_recycle", "collation", "binary_prefix", "local_infile", "max_allowed_packet", "program_name"),
    }
)
# What other drivers call what PyMySQL has under another name.
_NAMES: Mapping[str, str] = {"db": "database", "passwd": "password", "username": "user"}
_PLACE = ("host", "port", "user", "password", "database")
_KEPT = frozenset(
    {
        *("unix_socket", "ssl", "ssl_ca", "ssl_cert", "ssl_key", "ssl_disabled", "ssl_verify_cert"),
        *("ssl_verify_identity", "connect_timeout", "read_timeout", "write_timeout", "bind_address"),
        *("read_default_file", "read_default_group"),
    }
)


def for_pymysql(url: URL) -> URL:
    """The same URL without what is of no account here, or only another driver understands."""
    query = {key: value for key, value in url.query.items() if key in _KEPT or key in _NAMES or key in _PLACE}
    place: dict[str, Any] = {_NAMES.get(key, key): query.pop(key) for key in list(query) if key not in _KEPT}
    named = url.set(query=query, drivername=DRIVER)
    if "user" in place:
        place["username"] = place.pop("user")
    if "port" in place:
        place["port"] = int(place["port"])
    return named.set(**place) if place else named


def unknown_arguments(arguments: Mapping[str, Any]) -> list[str]:
    """Which arguments of a driver cannot be said in a URL, or are not known."""
    known = _KEPT | _INDIFFERENT | _NAMES.keys() | set(_PLACE)
    texts = str | int | float | bool
    return sorted(
        key for key, value in arguments.items() if key not in known or (key in _KEPT and not isinstance(value, texts))
    )


def with_arguments(url: URL, arguments: Mapping[str, Any]) -> URL:
    """An address with what a driver is given beside it."""
    told = {_NAMES.get(key, key): str(value) for key, value in arguments.items() if key not in _INDIFFERENT}
    place: dict[str, Any] = {key: told.pop(key) for key in _PLACE if key in told}
    if "user" in place:
        place["username"] = place.pop("user")
    if "port" in place:
        place["port"] = int(place["port"])
    return url.update_query_dict(told).set(**place)


def with_async_driver(configured: URL, url: URL) -> URL:
    """The URL with an asynchronous driver: the configured one, else the first that is installed."""
    named = configured.drivername.partition("+")[2]
    installed = [each for each in _ASYNCHRONOUS if find_spec(each) is not None]
    driver = named if named in _ASYNCHRONOUS else [*installed, _ASYNCHRONOUS[0]][0]
    return url.set(drivername=f"mysql+{driver}").update_query_dict({"charset": "utf8mb4"})


def server_of(url: URL) -> str:
    """Where the server is: host and port, or a socket."""
    socket = url.query.get("unix_socket")
    return str(socket) if socket else f"{url.host or 'localhost'}:{url.port or PORT}"
