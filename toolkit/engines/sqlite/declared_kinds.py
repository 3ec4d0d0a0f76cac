"""What the words mean by which columns of SQLite are declared, to migrations: any word will do but in STRICT tables."""

from __future__ import annotations

_WORDS = (
    ("date", ("DATE",)),
    ("datetime", ("DATETIME", "TIMESTAMP")),
    ("time", ("TIME",)),
    ("boolean", ("BOOLEAN", "BOOL")),
    ("json", ("JSON", "JSONB")),
    ("binary", ("BINARY", "VARBINARY", "BLOB")),
    ("numeric", ("NUMERIC", "DECIMAL")),
)
_AFFINITIES = (("integer", ("INT",)), ("text", ("CHAR", "CLOB", "TEXT")), ("real", ("REAL", "FLOA", "DOUB")))
_STRICT = frozenset({"INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"})
_STRICT_TYPES = {
    **dict.fromkeys(("integer", "boolean"), "INTEGER"),
    **dict.fromkeys(("text", "date", "datetime", "time"), "TEXT"),
    "real": "REAL",
    "binary": "BLOB",
}


def kind_of(declared: str) -> str:
    """What a column is, by its declared type."""
    word = declared.upper().partition("(")[0].strip()
    if not word:
        return "untyped"
    for kind, words in _WORDS:
        if word in words:
            return kind
    # In SQLite's own order (datatype3.html, 3.1).
    return next((kind for kind, parts in _AFFINITIES if any(part in word for part in parts)), "other")


def strict_type(declared: str) -> str:
    """The type that a STRICT table, which knows six, has for a declared one: of what an application stores there.

    ANY where that is of several classes, and keeps each value as it is.
    """
    return declared if declared.upper() in _STRICT else _STRICT_TYPES.get(kind_of(declared), "ANY")
