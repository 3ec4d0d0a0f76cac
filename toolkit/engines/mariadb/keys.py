"""Keys that MariaDB takes for one though they differ: by case, by accents, or by spaces at their end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from toolkit.core.tables import TableSpec
from toolkit.engines.mariadb.catalogue import named, rows
from toolkit.engines.mariadb.literals import literal
from toolkit.engines.mariadb.session import MariaDBSession
from toolkit.engines.mariadb.writing import WrittenTable
from toolkit.errors import CollationConflictError

# These compare all bytes, spaces at the end too.
_EXACT = ("_nopad_bin", "_0900_bin")
_COLLATIONS = f"""
SELECT c.column_name AS name, c.collation_name AS collation
FROM information_schema.columns AS c
WHERE c.table_schema = coalesce(:schema, database()) AND {named("c.table_name", "= :table")}
AND c.collation_name IS NOT NULL
"""
_STAGE = "`toolkit_keys`"


def folding_collations(connection: MariaDBSession, spec: TableSpec, columns: Sequence[str]) -> dict[str, str]:
    """Of these columns, those whose collation takes different texts for one, with it."""
    with connection.translated():
        found = rows(connection.sqlalchemy, _COLLATIONS, schema=spec.table.schema, table=spec.table.name)
    collations = {row.name: str(row.collation) for row in found}
    named = {name: collations[name] for name in columns if name in collations}
    return {name: each for name, each in named.items() if not each.endswith(_EXACT) and each != "binary"}


class KeyedTable(WrittenTable):
    """Says which keys MariaDB takes for one."""

    def collated_key(self) -> dict[str, str]:
        """The key columns of which MariaDB takes different values for one, each with what makes it do so."""
        found = folding_collations(self.connection, self.spec, self.spec.key)
        return {name: f"the collation {collation}" for name, collation in found.items()}

    def require_distinct(self, keys: Iterable[pa.RecordBatch]) -> None:
        """Check that these keys, of rows to insert, are different to MariaDB too, from one another and its own."""
        if twins := find_twins(self, keys):
            rows = [self.show_row(key) for key in twins]
            raise CollationConflictError(self.connection.name, self.spec.name, rows, self.collated_key())


def find_twins(repository: WrittenTable, keys: Iterable[pa.RecordBatch]) -> tuple[Sequence[Any], Sequence[Any]] | None:
    """Two of these keys, or one and one of the table, that differ but are one to the collations; as stored.

    They wait in a temporary table, which has the collations of the real one.
    """
    spec, connection = repository.spec, repository.connection
    names = [repository.quote(name) for name in spec.key]
    listed = ", ".join(names)
    with connection.translated():
        connection.run(
            f"CREATE TEMPORARY TABLE {_STAGE} (toolkit_number BIGINT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB "
            f"AS SELECT {listed} FROM {repository.name} LIMIT 0"
        )
        try:
            for batch in keys:
                values = connection.codec.encode(spec.project(spec.key), batch, connection.name)
                repository.insert_rows(f"INSERT INTO {_STAGE} ({listed}) VALUES ", "", values)
            return _among(repository, names, listed) or _with_rows(repository, names)
        finally:
            connection.run(f"DROP TEMPORARY TABLE {_STAGE}")


def _among(repository: WrittenTable, names: Sequence[str], listed: str) -> tuple[Any, Any] | None:
    run = repository.connection.run
    query = f"SELECT min(toolkit_number) FROM {_STAGE} GROUP BY {listed} HAVING count(*) > 1 LIMIT 1"
    if not (found := run(query)):
        return None
    [(first,)] = found
    columns = [_read(repository, name) for name in repository.spec.key]
    # A temporary table can be named once in a statement.
    [one] = run(f"SELECT {', '.join(columns)} FROM {_STAGE} WHERE toolkit_number = {first}")
    values = [literal(part) for part in one]
    same = " AND ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True))
    others = run(f"SELECT {', '.join(columns)} FROM {_STAGE} WHERE {same} AND toolkit_number <> {first} LIMIT 1")
    return (one, others[0]) if others else None


def _with_rows(repository: WrittenTable, names: Sequence[str]) -> tuple[Any, Any] | None:
    same = " AND ".join(f"t.{name} = k.{name}" for name in names)
    differ = " OR ".join(f"NOT (BINARY t.{name} <=> BINARY k.{name})" for name in names)
    key = repository.spec.key
    ours, theirs = ([_read(repository, name, f"{table}.") for name in key] for table in "kt")
    query = f"SELECT {', '.join([*ours, *theirs])} FROM {_STAGE} AS k JOIN {repository.name} AS t ON {same}"
    found = repository.connection.run(f"{query} WHERE {differ} LIMIT 1")
    return (found[0][: len(key)], found[0][len(key) :]) if found else None


def _read(repository: WrittenTable, name: str, table: str = "") -> str:
    """What the codec reads of a key's column: nothing but times is read by an expression."""
    quoted = f"{table}{repository.quote(name)}"
    is_moment = repository.connection.codec.adapter(repository.spec.column(name)).is_read_by_text
    return f"CAST({quoted} AS CHAR)" if is_moment else quoted
