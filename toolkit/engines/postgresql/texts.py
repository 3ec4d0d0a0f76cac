"""How texts stand in PostgreSQL."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.core.byte_search import may_hold
from toolkit.engines.portable.literals import each
from toolkit.engines.postgresql.adapter import Misfits, PostgresAdapter
from toolkit.engines.postgresql.json import NULL_CHARACTER
from toolkit.engines.postgresql.literals import postgres_text


class Text(PostgresAdapter):
    """Characters, in whatever type of them."""

    wire = "text"
    alike = frozenset({"character varying", "character"})
    is_short = False
    reads_lists = True

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        return None

    def unkeepable(self, values: pa.Array, wire: str) -> Misfits:
        if not may_hold(values, b"\x00"):
            return []
        found = pc.match_substring(values, "\x00")
        return [(row, f"holds {NULL_CHARACTER}") for row in pc.indices_nonzero(found).to_pylist()]

    def literals(self, values: pa.Array) -> list[str]:
        return each(values, postgres_text)
