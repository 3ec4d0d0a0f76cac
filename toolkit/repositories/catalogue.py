"""What a database's own catalogue says of its tables, whether the models know them or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table and its columns, as they are named there.

    `schema` is None where names are looked up without one. The rows lie in `rows_in`, which is mostly the table itself.
    """

    name: str
    schema: str | None
    columns: tuple[str, ...]
    rows_in: str

    @property
    def shown(self) -> str:
        """The name as models give it."""
        return f"{self.schema}.{self.name}" if self.schema else self.name
