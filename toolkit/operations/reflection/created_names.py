"""Names that a target takes: as they are, or shortened, numbered, without their schema; each only once."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator

import sqlalchemy as sa
from msgspec import Struct, field

from toolkit.core.schema import Note
from toolkit.core.sql_terms import lower_ascii
from toolkit.engines.contract import SchemaFeatures

_MARK_DIGITS = 8


class Names(Struct):
    """The names in one target; those of tables and indexes are taken by schema, or in the whole database."""

    features: SchemaFeatures
    notes: list[Note]
    tables: dict[str, tuple[str | None, str]] = field(default_factory=dict)
    """By the source's full name of a table, the target's schema and name."""
    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    """By the source's names of table and column, the target's."""
    _taken: dict[str | None, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, metadata: sa.MetaData, features: SchemaFeatures, notes: list[Note]) -> Names:
        """Names for all tables and columns; those that differ from the source's are told."""
        names = cls(features, notes)
        # Whose name may stay as it is comes first, so that no other takes it.
        tables = sorted(
            metadata.tables.values(), key=lambda each: (each.schema is not None, names.fitting(each.name) != each.name)
        )
        counted = Counter(names._compared(each.name) for each in tables)
        for table in tables:
            names._add(table, is_alone=counted[names._compared(table.name)] == 1)
        return names

    def renames(self) -> Iterator[tuple[str, str]]:
        """By the source's full names, the target's, where they differ."""
        full = {name: other if schema is None else f"{schema}.{other}" for name, (schema, other) in self.tables.items()}
        yield from ((name, other) for name, other in full.items() if name != other)
        yield from (
            (f"{table}.{name}", f"{full[table]}.{other}")
            for (table, name), other in self.columns.items()
            if name != other
        )

    def relation(self, table: sa.Table, name: str, what: str | None = None) -> str:
        """A name for an index of a table, or a key that shares the names of indexes; told as that of `what`."""
        schema, place = self.tables[table.fullname]
        taken = self._taken[schema]
        chosen = self.fitting(name)
        if self._compared(chosen) in taken:
            chosen = self._free(f"{place}_{name}", taken)
        taken.add(self._compared(chosen))
        return chosen if what is None else self._told(table, what, name, chosen)

    def constraint(self, table: sa.Table, name: str, what: str, taken: set[str]) -> str:
        """A name for a constraint of a table, of which those in `taken` have theirs."""
        chosen = self._free(name, taken)
        taken.add(self._compared(chosen))
        return self._told(table, what, name, chosen)

    def _add(self, table: sa.Table, *, is_alone: bool) -> None:
        schema, wanted, why = table.schema, table.name, None
        if schema is not None and not self.features.has_schemas:
            wanted, why = wanted if is_alone else f"{schema}_{wanted}", "there are no schemas"
            schema = None
        prefix = self.features.reserved_prefix
        if prefix is not None and self._compared(wanted).startswith(prefix):
            wanted, why = f"_{wanted}", f"names that begin with {prefix} are not for tables"
        name = self._free(wanted, self._taken[schema])
        if (schema, name) != (table.schema, table.name):
            # What stands before a dot in a name that is given is a schema.
            name = self._free(wanted.replace(".", "_"), self._taken[schema])
        self._taken[schema].add(self._compared(name))
        self.tables[table.fullname] = schema, name
        if (schema, name) != (table.schema, table.name):
            shown = name if schema is None else f"{schema}.{name}"
            reason = f"It is {shown} there: {why or self._why(wanted)}."
            self.notes.append(Note(table.fullname, "name", reason))
        taken = {self._compared(each) for each in self.features.reserved_columns}
        for column in sorted(table.columns, key=lambda each: self.fitting(each.name) != each.name):
            found = self._free(column.name, taken)
            taken.add(self._compared(found))
            self.columns[table.fullname, column.name] = found
            if found != column.name:
                reason = f"It is {found} there: {self._why(column.name)}."
                self.notes.append(Note(table.fullname, "name", reason, column.name))

    def _why(self, name: str) -> str:
        longest = self.features.longest_name
        if name != self._stripped(name):
            return "names do not end with blanks"
        is_long = longest is not None and len(name.encode()) > longest
        return f"names have at most {longest} bytes" if is_long else "that name is taken"

    def _told(self, table: sa.Table, what: str, name: str, chosen: str) -> str:
        if chosen != name:
            self.notes.append(Note(table.fullname, what, f"It is {chosen} there: {self._why(name)}."))
        return chosen

    def _compared(self, name: str) -> str:
        return lower_ascii(name) if self.features.folds_names else name

    def _free(self, wanted: str, taken: set[str]) -> str:
        name, number = self.fitting(wanted), 1
        while self._compared(name) in taken:
            number += 1
            numbered = f"{self._stripped(wanted)}_{number}"
            name = self.fitting(numbered, mark_of=numbered)
        return name

    def _stripped(self, name: str) -> str:
        return name if self.features.names_end_in_blanks else name.rstrip(" ")

    def fitting(self, name: str, mark_of: str | None = None) -> str:
        """A name of no more bytes than there may be; what is cut off is told apart by a digest of it all."""
        longest = self.features.longest_name
        name = self._stripped(name) or "_"
        if longest is None or len(name.encode()) <= longest:
            return name
        mark = hashlib.sha256((mark_of or name).encode()).hexdigest()[:_MARK_DIGITS]
        kept = name.encode()[: longest - _MARK_DIGITS - 1].decode(errors="ignore")
        return f"{kept}_{mark}"


def names_there(source: sa.MetaData, there: sa.MetaData, features: SchemaFeatures) -> dict[str, str]:
    """The names that tables and columns were given when they were made, by the source's: of those that are there."""
    names = Names.of(source, features, [])
    found = {name: other for name, other in names.renames() if other in there.tables and name not in there.tables}
    for (table, name), other in names.columns.items():
        place = there.tables.get(found.get(table, table))
        if place is not None and other in place.columns and name not in place.columns:
            found[f"{table}.{name}"] = f"{place.fullname}.{other}"
    return found
