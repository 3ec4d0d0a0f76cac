"""What a target lacks of a source, as keys and digests."""

from __future__ import annotations

import pyarrow as pa
from msgspec import Struct

from toolkit.core.digest import NO_ROWS, TableDigest


class Changes(Struct, frozen=True):
    """What a target lacks of a source. `new` and `changed` hold the key columns and the source's digest.

    `removed` holds the keys of the rows that only the target has, if they were asked for. `source` and `target` are
    the digests of both tables.
    """

    new: pa.Table
    changed: pa.Table
    unchanged: int
    target_only: int
    removed: pa.Table | None = None
    source: TableDigest = NO_ROWS
    target: TableDigest = NO_ROWS
