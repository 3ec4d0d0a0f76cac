"""What may be lost where a column's type in the database is not that of the model."""

from __future__ import annotations

from msgspec import Struct


class LossyCast(Struct, frozen=True):
    """A column's type in the database, and the condition, in its SQL, of the values that the model's type changes."""

    actual: str
    condition: str
    reason: str = ""
    """What these values are, if it is not their type that tells; with `advice`, what to do."""
    advice: str = ""
    is_raw: bool = False
    """Whether a value is shown as it is, not the database's text of it, of which bytes and texts are one."""
