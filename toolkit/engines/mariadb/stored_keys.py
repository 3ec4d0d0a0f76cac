"""Foreign keys as the database has them, whatever the models know: nothing but the toolkit keeps them as it writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from msgspec import Struct

from toolkit.engines.mariadb.catalogue import named, rows
from toolkit.engines.mariadb.rights import sees_all
from toolkit.engines.portable.codec import shown
from toolkit.errors import MissingParentError, StatementError

if TYPE_CHECKING:
    from toolkit.core.tables import TableSpec
    from toolkit.engines.mariadb.session import MariaDBSession

_KEYS = f"""
SELECT k.table_schema AS place, k.table_name AS name, k.constraint_name AS own, k.column_name AS part,
       k.referenced_table_schema AS parent_place, k.referenced_table_name AS parent,
       k.referenced_column_name AS parent_part, database() AS here, @@lower_case_table_names AS folds
FROM information_schema.key_column_usage AS k
WHERE (k.table_schema = coalesce(:schema, database()) AND {named("k.table_name", "= :table")}
AND k.referenced_table_name <> '')
OR (k.referenced_table_schema = coalesce(:schema, database()) AND {named("k.referenced_table_name", "= :table")})
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
"""
_NULLABLE = f"""
SELECT c.column_name AS name FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND {named("c.table_name", "= :table")} AND c.is_nullable = 'YES'
AND c.is_generated = 'NEVER'
"""


class Place(Struct, frozen=True):
    """A table; of another database than the address names, with that one's name."""

    schema: str | None
    name: str

    @property
    def full_name(self) -> str:
        """The name by which models have it."""
        return self.name if self.schema is None else f"{self.schema}.{self.name}"


class StoredKey(Struct, frozen=True):
    """A foreign key: the table that has it, the one that it points at, and by which columns of each."""

    child: Place
    parent: Place
    pairs: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that point."""
        return tuple(own for own, _ in self.pairs)


def keys_of(connection: MariaDBSession, spec: TableSpec) -> Sequence[StoredKey]:
    """The foreign keys of a table, and those that point at it."""
    parts: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for row in rows(connection.sqlalchemy, _KEYS, schema=spec.table.schema, table=spec.table.name):
        parts[row.place, row.name, row.own].append(row)
    own = _place_of(spec)
    return [
        StoredKey(
            _place(own, row, row.place, row.name),
            _place(own, row, row.parent_place, row.parent),
            tuple((each.part, each.parent_part) for each in found),
        )
        for found in parts.values()
        for row in found[:1]
    ]


def _place(own: Place, row: Any, schema: str, name: str) -> Place:
    """Where a table is; `own` is one by its model's name, which some servers write small."""
    found = Place(None if schema == row.here else schema, name)
    return own if row.folds and found.full_name.lower() == own.full_name.lower() else found


def unmodelled(connection: MariaDBSession, specs: Sequence[TableSpec]) -> Sequence[StoredKey]:
    """The foreign keys that writing to these tables may break, and that their models do not have.

    Of those that point at one of them from elsewhere, such as rest on other columns than its key: rows to be deleted
    are looked for by these, but an update may change them.
    """
    known = {key for spec in specs for key in _modelled(spec)}
    found = {
        key
        for spec in specs
        for key in keys_of(connection, spec)
        if key.child == _place_of(spec) or not {theirs for _, theirs in key.pairs} <= {*spec.key}
    }
    return sorted((key for key in found if _unordered(key) not in known), key=repr)


def _modelled(spec: TableSpec) -> Iterator[tuple[Place, Place, frozenset[tuple[str, str]]]]:
    for key in spec.foreign_keys:
        parent = spec.table.metadata.tables[key.parent]
        pairs = frozenset(zip(key.columns, key.parent_columns, strict=True))
        yield _place_of(spec), Place(parent.schema, parent.name), pairs


def _unordered(key: StoredKey) -> tuple[Place, Place, frozenset[tuple[str, str]]]:
    return key.child, key.parent, frozenset(key.pairs)


def _place_of(spec: TableSpec) -> Place:
    return Place(spec.table.schema, spec.table.name)


def orphans(key: StoredKey, quote: Any, hint: str = "") -> str:
    """What to select from for the rows that point at no parent, as `c`."""
    match = " AND ".join(f"p.{quote(theirs)} = c.{quote(own)}" for own, theirs in key.pairs)
    given = " AND ".join(f"c.{quote(own)} IS NOT NULL" for own in key.columns)
    child, parent = (".".join(quote(each) for each in (at.schema, at.name) if each) for at in (key.child, key.parent))
    return (
        f"{child} AS c {hint} LEFT JOIN {parent} AS p ON {match} WHERE p.{quote(key.pairs[0][1])} IS NULL AND {given}"
    )


def require_parents(connection: MariaDBSession, key: StoredKey, shown_key: Sequence[str], hint: str) -> None:
    """Check that every row's parent is there.

    Raises:
        MissingParentError: with the number of rows and the first, by these columns.
    """

    def quote(name: str) -> str:
        quoted: str = connection.sqlalchemy.dialect.identifier_preparer.quote_identifier(name)
        return quoted.replace("%%", "%")

    lost = orphans(key, quote, hint)
    with connection.translated():
        [(count,)] = connection.run(f"SELECT count(*) FROM {lost}")
        if not count:
            return
        listed = ", ".join(f"c.{quote(name)}" for name in shown_key)
        [row] = connection.run(f"SELECT {listed} FROM {lost} ORDER BY {listed} LIMIT 1")
    first = ", ".join(f"{name}={shown(value)}" for name, value in zip(shown_key, row, strict=True))
    columns = ", ".join(key.columns)
    raise MissingParentError(connection.name, key.child.full_name, columns, key.parent.full_name, int(count), first)


@contextmanager
def acting(connection: MariaDBSession, spec: TableSpec) -> Iterator[None]:
    """Let the server keep what points at rows to be deleted from where the role has no right to look.

    Only where nothing that the role sees points at the table: the server would act on rows that are to stay.
    """
    with connection.translated(), _checks(connection, is_on=not _pointing_at(connection, spec)):
        yield


@contextmanager
def deleting(
    connection: MariaDBSession, spec: TableSpec, table: sa.FromClause, rows_of: Callable[[], Iterable[Any]]
) -> Iterator[None]:
    """The same for single rows, by conditions of the table, at which nothing points that stays: that was looked at.

    What points at them goes too. It is let go of first, for the server would refuse, or act on it in an order of its
    own. Where the role sees all databases, there is nothing that the server would have to keep.
    """
    with connection.translated():
        keys = _pointing_at(connection, spec)
        is_on = not keys or not sees_all(connection)
        for condition in rows_of() if keys and is_on else ():
            for key in keys:
                _let_go(connection, key, table, condition)
        with _checks(connection, is_on=is_on):
            yield


def _pointing_at(connection: MariaDBSession, spec: TableSpec) -> Sequence[StoredKey]:
    return [key for key in keys_of(connection, spec) if key.parent == _place_of(spec)]


@contextmanager
def _checks(connection: MariaDBSession, *, is_on: bool) -> Iterator[None]:
    connection.run(f"SET SESSION foreign_key_checks = {int(is_on)}")
    yield
    # After an error nothing more is written.
    connection.run("SET SESSION foreign_key_checks = 0")


def _let_go(connection: MariaDBSession, key: StoredKey, table: sa.FromClause, condition: Any) -> None:
    """Have rows that go with those that they point at point nowhere.

    Raises:
        StatementError: they have to point somewhere.
    """
    child = sa.table(key.child.name, *map(sa.column, key.columns), schema=key.child.schema)
    pointing: Any = child.alias("pointing")
    same = [pointing.c[own] == _column(table, theirs) for own, theirs in key.pairs]
    found = connection.sqlalchemy.execute(sa.select(sa.true()).select_from(pointing).where(*same, condition).limit(1))
    if found.first() is None:
        return
    asked = rows(connection.sqlalchemy, _NULLABLE, schema=key.child.schema, table=key.child.name)
    if not {*key.columns} <= {row.name for row in asked}:
        raise StatementError(
            connection.name,
            f"rows to delete from {key.parent.full_name} are pointed at by others to delete, of {key.child.full_name} "
            f"({', '.join(key.columns)}), and this role does not see whether rows of other databases point there too",
            "Let the role see all databases (GRANT SELECT ON *.* TO …), or delete these rows in another way first.",
        )
    connection.sqlalchemy.execute(
        sa.update(pointing).values(dict.fromkeys(key.columns, sa.null())).where(*same, condition)
    )


def _column(table: sa.FromClause, name: str) -> sa.ColumnClause[Any]:
    """A column of a table whose model may lack it."""
    found: sa.ColumnClause[Any] = sa.column(name)
    found.table = table
    return found
