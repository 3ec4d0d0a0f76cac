"""Documents in a column of `json` that cannot be compared with any other, as one of `jsonb` can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from toolkit.engines.postgresql.json import LONG, UNUSUAL, refused_documents
from toolkit.engines.postgresql.sql import quoted
from toolkit.errors import UnrepresentableValueError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.postgresql.session import PostgresSession


def unkept_document(
    connection: PostgresSession, spec: TableSpec, rows: str, types: Mapping[str, str]
) -> UnrepresentableValueError | None:
    """The first in a table; `rows` is what stands behind FROM."""
    keys = ", ".join(f"t.{quoted(name)}::text" for name in spec.shown_key)
    for name in (c.name for c in spec.columns if c.type.is_document and types.get(c.name) == "json"):
        text = f"t.{quoted(name)}::text"
        query = f"SELECT {keys}, {text} FROM {rows} AS t WHERE {text} ~ '{UNUSUAL}' OR length({text}) > {LONG}"
        with connection.translated():
            for row in connection.run(query):
                for _, problem in refused_documents(pa.array([row[-1]], pa.string())):
                    key = ", ".join(f"{n}={value}" for n, value in zip(spec.shown_key, row, strict=False))
                    return UnrepresentableValueError(spec.name, key, name, f"{problem}: it cannot be compared")
    return None
