"""The server's own statement that makes a table, as text: it has a default of bytes as the bytes themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from toolkit.engines.mariadb.driver import Connection

TRANSACTIONAL = "InnoDB"
"""What keeps the rows of each table that is written to: others undo nothing."""
_SEQUENCE = re.compile(r"\b(nextval|lastval|setval)\(", re.IGNORECASE)
_TEXT = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_LITERAL = re.compile(rb"(?<= DEFAULT )'((?:[^'\\]|\\.|'')*)'", re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)|''", re.DOTALL)
_MEANT = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}


def definition(connection: Connection, name: str) -> str:
    """What makes a table of this quoted name, to be run again."""
    [row] = connection.rows_of_bytes(f"SHOW CREATE TABLE {name}")
    return _LITERAL.sub(_digits, row[1]).decode()


def takes_numbers(default: str | None) -> bool:
    """Whether a default asks a sequence; its literals may say what they like."""
    return _SEQUENCE.search(_TEXT.sub("", default or "")) is not None


def without_sequences(made: str, table: sa.Table) -> str:
    """The statement without defaults that take numbers: each names the database whose sequence it is."""
    for column in table.columns:
        default = column.server_default
        if isinstance(default, sa.DefaultClause) and takes_numbers(text := str(default.arg)):
            name = re.escape("`" + column.name.replace("`", "``") + "`")
            given = f"(?:{re.escape(text)}|{re.escape(f'({text})')})"
            made = re.sub(rf"^(  {name} .*?) DEFAULT {given}(?=[ ,\n])", r"\1", made, count=1, flags=re.MULTILINE)
    return made


def inner_number(table: sa.Table) -> str | None:
    """The column that numbers itself within the others of a key, which only MyISAM and Aria have; None if none does."""
    keys = [[*each.columns] for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
    keys += [[*table.primary_key.columns], *([*each.columns] for each in table.indexes)]
    first = {columns[0].name for columns in keys if columns}
    return next((each.name for each in table.columns if each.autoincrement is True and each.name not in first), None)


def _digits(found: re.Match[bytes]) -> bytes:
    """A default as it is, or by the digits of its bytes if these are no text."""
    try:
        found[0].decode()
    except UnicodeDecodeError:
        content = _ESCAPED.sub(lambda each: b"'" if each[1] is None else _MEANT.get(each[1], each[1]), found[1])
        return f"X'{content.hex()}'".encode()
    return found[0]
