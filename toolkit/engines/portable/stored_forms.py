"""What engines say of that which they do not have: values in several forms, work behind a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from toolkit.core.tables import TableSpec


class Committed:
    """The part of a connection for engines of which a transaction holds all that is to be done."""

    def unfinished(self) -> Sequence[tuple[str, str]]:
        """Nothing is done behind a commit."""
        return ()


class OneForm:
    """The part of a connection for engines that keep each value in one form, by its column's type."""

    def require_one_form(self, specs: Sequence[TableSpec]) -> None:
        """No key is stored twice."""

    def showing(self) -> AbstractContextManager[None]:
        """Every text can be fetched."""
        return nullcontext()

    def told_forms(self, specs: Sequence[TableSpec]) -> Iterable[str]:
        """No value is stored in several forms."""
        return ()

    def written_forms(self, spec: TableSpec, most: int | None = None) -> Mapping[str, str | None]:
        """There is nothing to say of the form that values stand in."""
        return {}
