"""Whose a manifest is: two databases of one name may share an archive, and neither is to be taken for the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from toolkit.core.archive_manifest import Header

UNMARKED = "unmarked"
"""In place of the place that manifests of earlier versions do not name."""


class Owner(Struct, frozen=True):
    """The database that is asked for: its name, its place, and earlier places of it, which its user named."""

    name: str
    place: str
    adopted: frozenset[str] = frozenset()


class Origins(Struct, frozen=True):
    """By name of a database, all places that manifests say of it."""

    places: Mapping[str, frozenset[str | None]]
    owner: Owner | None = None

    @classmethod
    def of(cls, headers: Iterable[Header], owner: Owner | None = None) -> Origins:
        """From all manifests of an archive; the owner's own place counts too."""
        places: dict[str, set[str | None]] = {} if owner is None else {owner.name: {owner.place}}
        for header in headers:
            places.setdefault(header.database, set()).add(header.place)
        return cls({name: frozenset(found) for name, found in places.items()}, owner)

    def place(self, header: Header) -> str | None:
        """Where its rows are. Where it does not say so, the only place known under its name; None if there is doubt."""
        if self.owner is not None and self._is_adopted(header, self.owner):
            return self.owner.place
        if header.place is not None:
            return header.place
        known = self._known(header.database)
        return next(iter(known)) if len(known) == 1 else None

    def is_own(self, header: Header) -> bool:
        """Whether it is of the owner's rows, without any doubt."""
        return self.owner is not None and self.place(header) == self.owner.place

    def described(self, header: Header) -> str:
        """The database's name, and its place if others have the same name."""
        is_alone = len(self._known(header.database)) < 2  # noqa: PLR2004 - one
        return header.database if is_alone else f"{header.database} at {self.place(header) or UNMARKED}"

    def _known(self, name: str) -> frozenset[str | None]:
        return self.places.get(name, frozenset()) - {None}

    def _is_adopted(self, header: Header, owner: Owner) -> bool:
        if header.place is None:
            return UNMARKED in owner.adopted and header.database == owner.name
        return header.place in owner.adopted
