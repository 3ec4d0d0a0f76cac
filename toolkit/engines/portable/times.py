"""Dates and times as texts that Python can read: of the years 1 to 9999."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.moments import INFINITE_TIMESTAMP

DATES = (-719_162, 2_932_896)
_TIMESTAMPS = (-62_135_596_800_000_000, 253_402_300_799_999_999)


def require_within(whole: pa.Array, limits: tuple[int, int], infinite: int) -> None:
    """Check that days or microseconds since 1970 are within limits; `infinite` stands for an infinity.

    Raises:
        ValueError: one is not.
    """
    extremes = pc.min_max(whole).as_py()
    if extremes["min"] is not None and (extremes["min"] < limits[0] or extremes["max"] > limits[1]):
        raise ValueError("beyond years 1 to 9999" if abs(extremes["max"]) != infinite else "infinite")


def timestamp_texts(values: pa.Array) -> pa.Array:
    """Timestamps as texts, without their zone. Raises what `require_within` does."""
    whole = values.view(pa.int64())
    require_within(whole, _TIMESTAMPS, INFINITE_TIMESTAMP)
    # Arrow writes all six digits of the microseconds, as SQLAlchemy does, and six times faster than by strftime.
    return whole.view(pa.timestamp("us")).cast(pa.string())
