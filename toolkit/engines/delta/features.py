"""What a lake does by itself, and what of another engine's schema it can have."""

from __future__ import annotations

from msgspec.structs import replace

from toolkit.engines.contract import Capabilities
from toolkit.engines.duckdb.features import FEATURES as CALCULATORS

CAPABILITIES = Capabilities(
    enforces_foreign_keys=False,
    keeps_text_of_json=True,
    loads_without_key=True,
    writes_types_as_text=True,
    keeps_foreign_keys=False,
    takes_keys=False,
    has_schemas=False,
    keeps_moment=True,
)
FEATURES = replace(CALCULATORS, has_schemas=False)
