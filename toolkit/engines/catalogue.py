"""What a database's own catalogue says of its tables, whether the models know them or not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from msgspec import Struct, field


class StoredTable(Struct, frozen=True):
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


class TableTriggers(Struct, frozen=True):
    """What the application has run as rows of a table are written, by name; without what does not fire.

    `hindrance` says why the triggers cannot be held, by this role or (unless `can_be_held`) at all; rules never can.
    Some `give_values` to rows before they are inserted.
    """

    table: str
    triggers: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    hindrance: str | None = None
    give_values: bool = False
    can_be_held: bool = True


class RunningTransaction(Struct, frozen=True):
    """A transaction of somebody else's whose rows a snapshot does not show, and that may still commit them.

    `ids` know it again as long as it runs, but for one whose session is gone, as when it was prepared: that may be any.
    Its `age` is None where this role may not see it. One that `writes` has begun to.
    """

    ids: frozenset[str]
    age: dt.timedelta | None
    writes: bool
    has_session: bool = True


class ColumnFacts(Struct, frozen=True):
    """A column as it is there, its type in the engine's own words: that of what a domain is made of.

    `cast` is the type that values are cast to as they are written. Numbers come from the `sequence`, whose name is
    quoted, and `next_number` is what it gives out next, unless it begins anew: less than those before if it
    `descends`; `is_numbered` says that they always do.
    What `is_required` has neither a default nor room for NULL. An enum takes its `labels` alone.
    """

    type: str
    is_computed: bool = False
    cast: str = ""
    is_numbered: bool = False
    sequence: str | None = None
    is_required: bool = False
    next_number: int | None = None
    labels: Sequence[str] | None = None
    descends: bool = False


class TableFacts(Struct, frozen=True):
    """What a database has of a table that the models know, by name; `keys` are what an upsert can rest on."""

    columns: Mapping[str, ColumnFacts]
    keys: frozenset[frozenset[str]] = field(default_factory=frozenset)
