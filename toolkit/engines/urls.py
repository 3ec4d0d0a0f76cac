"""Addresses as URLs: what is wrong with one, told without the password that it may hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toolkit.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL


def parsed_url(name: str, address: str) -> URL:
    """The URL of the database of that name, as it was written.

    Raises:
        ConfigurationError: it is none, or a part of a password would be taken for something else.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    # Neither the address nor the cause is repeated: they may hold a password where the parser saw none.
    subject = f"The address of {f'database {name!r}' if name else 'the database'}"
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            f"{subject} is not a URL.",
            "Write it like sqlite:///file.db, duckdb:///file.duckdb or postgresql://user@host/name, with the "
            "characters : / @ in a password percent-encoded.",
        ) from None
    if _has_part_of_a_password(url, address):
        raise ConfigurationError(
            f"{subject} has an @ behind the one that ends its password.",
            "Write an @ in a password as %40, and a database's name with an @ as ?dbname=a%40b.",
        )
    return url


def _has_part_of_a_password(url: URL, address: str) -> bool:
    """Whether a password seems to go on behind an unescaped `@`, where host, name and parameters are looked for.

    A host of parameters that begins with one is a socket of Linux' abstract kind.
    """
    hosts = url.query.get("host", ())
    if "@" in (url.host or "") or any("@" in host[1:] for host in ((hosts,) if isinstance(hosts, str) else hosts)):
        return True
    place, _, parameters = address.partition("?")
    names = (parameter.partition("=")[0] for parameter in parameters.split("&"))
    userinfo = re.match(r"[^:/]*://[^:/]*:[^@]*@", place)
    return userinfo is not None and ("@" in place[userinfo.end() :] or any("@" in name for name in names))
