"""How the values of one column stand in PostgreSQL: what fetches them, what goes into a digest, what COPY is sent.

Each logical type has one expression to fetch it, one for its canonical value in a digest (see `toolkit.core.digest`),
and one Arrow form for the binary COPY. The server itself digests, so what it computes is what the types' own adapters
compute.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from toolkit.engines.portable.adapters import Adapter, MisfitError
from toolkit.engines.portable.literals import plain
from toolkit.engines.portable.lossy import bare

Misfits = Iterable[tuple[int, str]]


class PostgresAdapter(Adapter):
    """A type of PostgreSQL's that ADBC and pgpq have, too."""

    wire: ClassVar[str]
    """The type whose binary form is sent."""
    alike: ClassVar[frozenset[str]] = frozenset()
    """Other names of types that take the same bytes."""
    copied_as: ClassVar[pa.DataType | None] = None
    """The Arrow type whose pgpq encoding is the binary form, where it is not the canonical one."""
    is_short: ClassVar[bool] = True
    """Whether PostgreSQL never stores such values apart."""
    reads_lists: ClassVar[bool] = False
    """Whether ADBC returns an array of these as a list of the canonical type."""

    # -- out of the database ---------------------------------------------------------------------------------------

    def fetch(self, name: str) -> str:
        """What to select so that ADBC returns the column exactly, of a type of PostgreSQL's own (see `adbc.py`).

        `name` is quoted already.
        """
        return f"{name}::{self.wire}"

    def digest(self, name: str, version: int) -> str:
        """The canonical value whose binary form goes into a row's digest, for a server of a version such as 180004.

        `name` is quoted already.
        """
        return self.fetch(name)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        """What ADBC returned for `fetch`."""
        (values,) = fetched
        return self._canonical(values.storage if isinstance(values, pa.ExtensionArray) else values)

    def _canonical(self, values: pa.Array) -> pa.Array:
        return values.cast(self.type.arrow)

    def lossy(self, actual: str, value: str, version: int) -> str | None:
        """The condition that values of the type `actual` meet if reading them changes them; None if none does.

        `actual` is what `format_type` gives for the column, or for what its domain is made of; `value` is quoted
        already; `version` is the server's, such as 180004.
        """
        raise NotImplementedError

    # -- into the database -----------------------------------------------------------------------------------------

    def wire_for(self, actual: str) -> str:
        """The type whose binary form is sent to a column that has the type `actual` in the database.

        Anything but the column's own type goes through a staging table and a cast.
        """
        return self.wire

    def takes(self, actual: str) -> bool:
        """Whether a column of the type `actual` takes the bytes that are sent as they are."""
        return bare(actual) == self.wire_for(actual) or bare(actual) in self.alike

    @property
    def copy_type(self) -> pa.DataType:
        """The Arrow type of what `outgoing` makes."""
        return self.copied_as or self.type.arrow

    def store(self, name: str, actual: str) -> str:
        """A column of the staging table as the type that it has in the database. `name` is quoted already."""
        return f"{name}::{actual}"

    def unkeepable(self, values: pa.Array, wire: str) -> Misfits:
        """The rows that PostgreSQL would refuse without naming them, and why."""
        return ()

    def refused(self, values: pa.Array, wire: str) -> Misfits:
        """The rows that PostgreSQL refuses by name, one at a time, or changes, and why: looked for where it did."""
        return ()

    def text(self, value: Any) -> str:
        """A value, which is not NULL, as `jsonb_to_recordset` turns it back into one of the type."""
        return str(value)

    def matched(self, name: str, actual: str) -> tuple[str, str]:
        """What of a column is compared with keys, and the type that these have. `name` is quoted already."""
        return name, actual

    def literals(self, values: pa.Array) -> list[str]:
        """For `psql`, whatever the column's own type: quoted literals have none."""
        return plain(self.type, values)


def require(held: pa.Array, problem: str) -> None:
    """Check that a condition is true of all values.

    Raises:
        MisfitError: the first of which it is not.
    """
    if pc.any(pc.invert(held)).as_py():
        raise MisfitError(held.to_pylist().index(False), problem)
