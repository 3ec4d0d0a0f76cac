"""Stored values as literals for `sqlite3`."""

from __future__ import annotations

import math
import re
from typing import Any

from toolkit.engines.portable.literals import replaced_text

# Decimals with so few digits behind the point are read exactly by every version of SQLite (see `_sqlite_double`).
_FEW_DECIMALS = re.compile(r"-?\d{1,15}\.\d{1,4}")
_EXACT_DOUBLE = 2**53
_STEP = 62


def sqlite_literal(stored: Any) -> str:
    """A stored value, as the adapters give it, for SQLite."""
    if stored is None:
        return "NULL"
    if isinstance(stored, bytes):
        return f"X'{stored.hex()}'"
    if isinstance(stored, float):
        return _sqlite_double(stored)
    return replaced_text(stored, "char") if isinstance(stored, str) else str(int(stored))


def _sqlite_double(value: float) -> str:
    """A double, exactly: SQLite reads about one in a thousand of seventeen digits wrongly (3.40 and older).

    It divides the digits by a power of ten in 64 bits and rounds twice. With four decimals or fewer no quotient comes
    so near the middle between two doubles that this matters; other numbers are a whole one times a power of two.
    """
    text = repr(value)
    if math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    if _FEW_DECIMALS.fullmatch(text) and abs(int(text.replace(".", ""))) < _EXACT_DOUBLE:
        return text
    whole, divisor = value.as_integer_ratio()
    exponent = 1 - divisor.bit_length()
    while abs(whole) >= _EXACT_DOUBLE:
        whole, exponent = whole // 2, exponent + 1
    sign = " * " if exponent > 0 else " / "
    steps = [_STEP] * (abs(exponent) // _STEP) + [abs(exponent) % _STEP]
    return f"(CAST({whole} AS REAL)" + "".join(sign + str(1 << step) for step in steps if step) + f") /* {text} */"
