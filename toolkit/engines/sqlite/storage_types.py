"""Of which storage classes the values of a column are, for a file of SQLite's that gets them just as they are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from toolkit.core.engine_type import StorageType
from toolkit.engines.sqlite.declared import Declared, Family
from toolkit.engines.sqlite.measures import classes_of, unexpected
from toolkit.engines.sqlite.misfits import in_pieces, text_as_bytes
from toolkit.engines.sqlite.structure import StoredStructure
from toolkit.engines.sqlite.value_conditions import ANY_VALUE, EXPECTED_CLASS

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot


def types_by_storage(connection: SqliteSnapshot, of: StoredStructure) -> Mapping[str, StorageType]:
    """The types of a table's columns. Of one without values, or without rows, it says what is expected, or nothing."""
    columns = of.declared
    with connection.translated():
        is_empty = connection.driver.execute(f"SELECT 1 FROM {_quoted(of.name)} LIMIT 1").fetchone() is None
    if is_empty:
        return {name: _type(declared, frozenset()) for name, declared in columns.items()}
    expected = {name: EXPECTED_CLASS.get(declared.family) for name, declared in columns.items()}
    odd = unexpected(
        connection.asking.row,
        of.name,
        {name: None if each is None else {each: ANY_VALUE} for name, each in expected.items()},
    )
    known = {name: frozenset({str(expected[name])}) for name in columns if name not in odd}
    classes = {**known, **classes_of(connection, of.name, [name for name in columns if name in odd])}
    unreadable = _unreadable(connection, of.name, [name for name in columns if classes[name] == {"text"}])
    return {name: _type(declared, classes[name], name in unreadable) for name, declared in columns.items()}


def _type(declared: Declared, classes: frozenset[str], is_unreadable: bool = False) -> StorageType:
    # Without an affinity, a column holds -0.0; others make an integer of it.
    may_lose_sign = "real" in classes and declared.affinity is Family.ANY
    affinity = "" if declared.affinity is Family.ANY else declared.affinity.name
    collation = "" if declared.collation is None else f" COLLATE {_quoted(declared.collation)}"
    is_odd = is_unreadable or may_lose_sign
    return StorageType(classes, affinity, f"{declared.text}{collation}", declared.type, is_odd=is_odd)


def _unreadable(connection: SqliteSnapshot, table: str, names: list[str]) -> frozenset[str]:
    """Which of these columns of texts have one that is no UTF-8."""
    found: set[str] = set()
    if not names:
        return frozenset()
    query = f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(table)}"
    with connection.translated(), text_as_bytes(connection.driver), closing(connection.driver.execute(query)) as cursor:
        for rows in in_pieces(cursor):
            for name, values in zip(names, zip(*rows, strict=True), strict=True):
                if not _are_readable(values):
                    found.add(name)
    return frozenset(found)


def _are_readable(values: tuple[Any, ...]) -> bool:
    try:
        b"\n".join(value for value in values if value is not None).decode()
    except UnicodeDecodeError:
        return False
    return True


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote_identifier(name)
