"""Values as the calculator has them, but for those that the readers of a lake would take for others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa

from toolkit.core.types import Kind
from toolkit.engines.duckdb.adapter import DuckDBAdapter
from toolkit.engines.duckdb.adapters import ADAPTERS, DuckDBCodec
from toolkit.engines.portable.adapters import MisfitError


def _finite(base: type[DuckDBAdapter]) -> type[DuckDBAdapter]:
    class Finite(base):  # type: ignore[misc, valid-type]
        """No infinite date or time: files have none, and statistics of one stop their writers."""

        def outgoing(self, values: pa.Array) -> pa.Array:
            sent = super().outgoing(values)
            whole = values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64()).fill_null(0)
            numbers = whole.to_numpy(zero_copy_only=False)
            # PostgreSQL's infinities are the limits, the calculator's one from them.
            limits = np.iinfo(numbers.dtype)
            beyond = np.flatnonzero((numbers >= limits.max - 1) | (numbers <= limits.min + 1))
            if len(beyond):
                sign = "" if numbers[beyond[0]] > 0 else "-"
                raise MisfitError(int(beyond[0]), f"holds {sign}infinity, which no file of a lake keeps")
            return sent

    return Finite


class LakeCodec(DuckDBCodec):
    """Between the calculator's values and canonical batches."""

    adapters: ClassVar = {
        **ADAPTERS,
        **{kind: _finite(ADAPTERS[kind]) for kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)},
    }
