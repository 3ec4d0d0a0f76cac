"""Tables whose keys engines order, compare or store each in its own way, and rows with look-alike keys."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from toolkit.core.tables import TableSpec, select_tables


class Suit(enum.Enum):
    """Stored by name, whose order is neither that of the values nor that of their declaration."""

    SPADES = "1"
    HEARTS = "2"
    CLUBS = "3"


metadata = sa.MetaData()


def _table(name: str, *types: Any) -> None:
    keys = [sa.Column(f"k{n}", type_, primary_key=True, autoincrement=False) for n, type_ in enumerate(types)]
    sa.Table(name, metadata, *keys, sa.Column("value", sa.Text))


TEXTS = (
    *("a", "A", "a ", " a", "a  ", "a\t", "", " ", "b", "ä", "Ä", "ae"),
    *("\u00e9", "e\u0301", "ß", "ss", "SS", "ẞ", "\u0131", "i", "I", "\u0130"),
    *("😀", "👩‍👩‍👧", "\ufeff", "\u200b", "ﬀ", "ff", "Ⅷ", "\uffff"),
    *("%s", ":x", "\\N", "'", '"', "\\x41", "{}", "NULL", "null", "0", "00", "1e2", "100", "\x01", "\r\n"),
    *("é" * 1000, "é" * 999 + "e", "long " * 300),
)
MOMENTS = [dt.datetime(2024, 3, 31, 1, 0, 0, n, tzinfo=dt.UTC) for n in (0, 1, 999_999)]
MOMENTS += [dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in (1, 1969, 9999)]

LIMITS = (-(2**63), 1, 2**63 - 1)
BYTES = (b"", b"\0", b"\0\0", b"a", b"A", b"\xff", b"\\x61", b"a" * 999)
DECIMALS = [Decimal(n).scaleb(-4) for n in (0, 1, -1, 10, 10_000, -(10**19), 10**20 - 1)]
FLOATS = (0.0, 0.1, 0.1 + 0.2, 0.3, -1.0, 1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
UUIDS = [n.to_bytes(16, "big") for n in (0, 1, 2**127, 2**128 - 1)]

# Table -> the types of its key, and the keys; each becomes a row.
KEYS: dict[str, tuple[Sequence[Any], Sequence[tuple[Any, ...]]]] = {
    "text": ([sa.Text], [(text,) for text in TEXTS]),
    "number_and_text": ([sa.Integer, sa.String(2000)], [(n, text) for text in TEXTS[:16] for n in (-1, 10)]),
    "bytes": ([sa.LargeBinary], [(value,) for value in BYTES]),
    "decimal": ([sa.Numeric(20, 4)], [(number,) for number in DECIMALS]),
    "moment": ([sa.DateTime(timezone=True)], [(moment,) for moment in MOMENTS]),
    "local": (
        [sa.DateTime, sa.Date, sa.Time, sa.Uuid],
        [(m.replace(tzinfo=None), m.date(), m.time(), key) for m in MOMENTS for key in UUIDS],
    ),
    "choice": (
        [sa.Boolean, sa.Enum(Suit, name="suit"), sa.BigInteger],
        [(flag, suit.name, n) for flag in (True, False) for suit in Suit for n in LIMITS],
    ),
    "float": ([sa.Double, sa.REAL], [(one, other) for one in FLOATS for other in (0.1, -1.5)]),
}
for _name, (_types, _) in KEYS.items():
    _table(_name, *_types)


def specs() -> tuple[TableSpec, ...]:
    """The tables, as the toolkit sees them."""
    return select_tables(metadata)


def rows() -> Mapping[str, pa.RecordBatch]:
    """The rows of each table in its canonical schema; each row's value tells its number."""
    batches = {}
    for spec in specs():
        keys = list(zip(*KEYS[spec.name][1], strict=True))
        values = [*keys, [f"value {n}" for n in range(len(keys[0]))]]
        arrays = [pa.array(list(v), c.type.arrow) for c, v in zip(spec.columns, values, strict=True)]
        batches[spec.name] = pa.record_batch(arrays, schema=spec.schema)
    return batches
