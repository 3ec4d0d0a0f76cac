"""What constraints a table has, and what becomes of them where it is made from models that say less, or other ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from toolkit.core.sql_text import normalized


class UniqueKey(Struct, frozen=True):
    """Columns, or texts of expressions, that no two rows share; with a condition, no two that meet it."""

    columns: tuple[str, ...]
    name: str | None = None
    condition: str | None = None
    has_expressions: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The columns as they are compared; expressions are told apart by their text alone."""
        return frozenset(normalized(each) for each in self.columns)

    @property
    def is_whole(self) -> bool:
        """Whether it is one of columns over all rows."""
        return not self.has_expressions and self.condition is None

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"the unique key{name} ({', '.join(self.columns)}){f' where {self.condition}' if self.condition else ''}"


class ForeignKey(Struct, frozen=True):
    """Columns that point at rows of another table; `options` are its actions and when it is checked, as in SQL."""

    columns: tuple[str, ...]
    parent: str
    options: tuple[str, ...] = ()

    @property
    def place(self) -> tuple[frozenset[str], str]:
        """What points where, as it is compared."""
        return frozenset(each.lower() for each in self.columns), self.parent.lower()

    def __str__(self) -> str:
        return f"the foreign key ({', '.join(self.columns)}) to {self.parent}"


class Check(Struct, frozen=True):
    """A condition that all rows meet."""

    text: str
    name: str | None = None

    def __str__(self) -> str:
        return f"the check{f' {self.name}' if self.name else ''} ({self.text})"


class Constraints(Struct, frozen=True):
    """All of one table; `foreign_keys` is None where nobody can say. `key` are the columns of the primary key.

    `collations` are those of columns by which values that differ may be equal; `others` any that models seldom have.
    """

    key: frozenset[str] = frozenset()
    unique: tuple[UniqueKey, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] | None = None
    checks: tuple[Check, ...] = ()
    not_null: frozenset[str] = frozenset()
    collations: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()


class Missing(Struct, frozen=True):
    """What the table that is made will not demand of its rows."""

    what: str


class Stronger(Struct, frozen=True):
    """What it will demand, and the other does not: of these columns no NULL (`not_null`), or else no value twice.

    The other demands it of the rows that meet `condition`, if there is one.
    """

    what: str
    columns: tuple[str, ...]
    not_null: bool = False
    condition: str | None = None


Change = Missing | Stronger


def changes(there: Constraints, made: Constraints) -> Iterator[Change]:
    """How the constraints of a table that is made differ from those of the table that is there."""
    yield from _missing_unique(there, made)
    yield from _stronger_unique(there, made)
    yield from _foreign_keys(there, made)
    yield from (Missing(str(check)) for check in _missing_checks(list(there.checks), list(made.checks)))
    yield from (
        Missing(f"the collation {collation} of {name}")
        for name, collation in there.collations.items()
        if {n.lower(): c.lower() for n, c in made.collations.items()}.get(name.lower()) != collation.lower()
    )
    yield from (Missing(each) for each in there.others if each not in made.others)
    keys = _lower(there.key | made.key)
    ours, theirs = _lower(made.not_null) - keys, _lower(there.not_null) - keys
    yield from (Missing(f"NOT NULL of {name}") for name in sorted(there.not_null) if name.lower() in theirs - ours)
    yield from (
        Stronger(f"NOT NULL of {name}", (name,), not_null=True)
        for name in sorted(made.not_null)
        if name.lower() in ours - theirs
    )


def _lower(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _missing_unique(there: Constraints, made: Constraints) -> Iterator[Missing]:
    for key in there.unique:
        if key.has_expressions:
            # Other engines, and SQLAlchemy, write an expression in another way.
            kept = any(m.has_expressions and (m.name == key.name or m.names == key.names) for m in made.unique)
        elif key.condition is not None:
            kept = any(not m.has_expressions and m.names == key.names for m in made.unique)
        else:
            kept = any(m.is_whole and m.names <= key.names for m in made.unique)
        if not kept:
            yield Missing(str(key))


def _stronger_unique(there: Constraints, made: Constraints) -> Iterator[Stronger]:
    for key in made.unique:
        if not key.is_whole or any(t.is_whole and t.names <= key.names for t in there.unique):
            continue
        narrower = next((t for t in there.unique if t.condition is not None and t.names == key.names), None)
        yield Stronger(f"{key} over all rows", key.columns, condition=narrower.condition if narrower else None)


def _foreign_keys(there: Constraints, made: Constraints) -> Iterator[Missing]:
    """Those that are missing, or without some option. None that is new: rows without a parent are refused anyway."""
    if there.foreign_keys is None or made.foreign_keys is None:
        return
    ours = {key.place: key for key in made.foreign_keys}
    for key in there.foreign_keys:
        kept = ours.get(key.place)
        if kept is None:
            yield Missing(str(key))
        elif lost := [option for option in key.options if option not in kept.options]:
            yield Missing(f"{' and '.join(lost)} of {key}")


def _missing_checks(there: list[Check], made: list[Check]) -> list[Check]:
    """Found by name, else by text; one without a name may be any of those that are left, for engines rewrite them."""
    for alike in (_of_one_name, _of_one_text, _perhaps_one):
        for one in list(there):
            other = next((each for each in made if alike(one, each)), None)
            if other is not None:
                there.remove(one)
                made.remove(other)
    return there


def _of_one_name(one: Check, other: Check) -> bool:
    return one.name is not None and one.name == other.name


def _of_one_text(one: Check, other: Check) -> bool:
    return normalized(one.text) == normalized(other.text)


def _perhaps_one(_: Check, other: Check) -> bool:
    return other.name is None
