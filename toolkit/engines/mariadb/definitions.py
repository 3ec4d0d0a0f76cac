"""The server's own statement that makes a table, as text: it has a default of bytes as the bytes themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.engines.mariadb.driver import Connection

TRANSACTIONAL = "InnoDB"
"""What keeps the rows of each table that is written to: others undo nothing."""
_LITERAL = re.compile(rb"(?<= DEFAULT )'((?:[^'\\]|\\.|'')*)'", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)|''", re.DOTALL)
_MEANT = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}


def definition(connection: Connection, name: str) -> str:
    """What makes a table of this quoted name, to be run again."""
    [row] = connection.rows_of_bytes(f"SHOW CREATE TABLE {name}")
    return _LITERAL.sub(_digits, row[1]).decode()


def _digits(found: re.Match[bytes]) -> bytes:
    """A default as it is, or by the digits of its bytes if these are no text."""
    try:
        found[0].decode()
    except UnicodeDecodeError:
        content = _ESCAPED.sub(lambda each: b"'" if each[1] is None else _MEANT.get(each[1], each[1]), found[1])
        return f"X'{content.hex()}'".encode()
    return found[0]
