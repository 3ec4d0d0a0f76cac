"""DuckDB's tables as SQLAlchemy has them, by a few questions to its catalogue for all of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from toolkit.core.engine_type import EngineType
from toolkit.core.numbering import Numbering, have_one_numbered, numbering_info
from toolkit.core.schema import TYPES_BY_KIND, Note, Schema, TypesBy
from toolkit.core.sql_text import clauses, tokens, unquoted
from toolkit.core.types import Kind, logical_type
from toolkit.core.verbatim import verbatim
from toolkit.engines.duckdb.reflection import check_of, index_of, parse_type

if TYPE_CHECKING:
    from toolkit.engines.catalogue import StoredTable
    from toolkit.engines.duckdb.session import DuckDBSession

Place = tuple[str, str]
"""A schema's name, and what it holds by its name."""

_ENUM = re.compile(r"ENUM\(('(?:[^']|'')*'(?:, '(?:[^']|'')*')*)\)")
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_NUMBERED = re.compile(r"nextval\('((?:[^']|'')*)'\)")


class Sequence(NamedTuple):
    """A sequence, and which number it gives out next, if there is one left."""

    place: Place
    following: int | None
    minimum: int
    maximum: int
    increment: int
    cycles: bool
    comment: str | None

    def info(self, type_: str) -> dict[str, object]:
        """What the schema says of a column of this type that takes its numbers from it."""
        kind = logical_type(parse_type(type_)).kind
        numbering = Numbering.of(kind, self.increment, self.minimum, self.maximum, cycles=self.cycles)
        return numbering_info(numbering, self.following)


def ask(connection: DuckDBSession, query: str) -> list[Any]:
    """The rows of a question to the catalogue, of this database alone, by the names of its columns."""
    return list(connection.sqlalchemy.exec_driver_sql(query).all())


def quoted(name: str) -> str:
    """A quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def labels_of(type_: str) -> tuple[str, ...] | None:
    """The labels of an enum; None if it is none."""
    found = _ENUM.fullmatch(type_)
    return None if found is None else tuple(each.replace("''", "'") for each in _LABEL.findall(found[1]))


def place_of(name: str, default: str) -> Place:
    """A name in SQL, perhaps qualified, as the catalogue has it."""
    parts = [unquoted(each) for each in tokens(name) if each != "."]
    return (default if len(parts) == 1 else parts[-2], parts[-1])


def sequences(connection: DuckDBSession) -> dict[Place, Sequence]:
    """All of them, by their places in lower case."""
    found = (Sequence((schema, name), *rest) for schema, name, *rest in ask(connection, _SEQUENCES))
    return {_folded(each.place): each for each in found}


def sequences_of(default: str | None, current: str, known: Mapping[Place, Sequence]) -> list[Sequence]:
    """The sequences that a column's default takes numbers from."""
    names = (each.replace("''", "'") for each in _NUMBERED.findall(default or ""))
    places = (_folded(place_of(name, current)) for name in names)
    return [known[place] for place in places if place in known]


def _folded(place: Place) -> Place:
    return place[0].casefold(), place[1].casefold()


def schema_of(connection: DuckDBSession, stored: Iterable[StoredTable], types: TypesBy) -> Schema:
    """These tables, and what there is beside them; what a DuckDB database cannot have again, only for such a one."""
    found, metadata = _Found(connection), sa.MetaData()
    tables = {(each.schema or found.current, each.name): found.table(metadata, each) for each in stored}
    for place, table in tables.items():
        found.add_foreign_keys(table, place, tables)
    unmade = found.unmade() if types is TypesBy.STORAGE else ()
    return Schema("duckdb", metadata, (*unmade, *found.notes()))


class _Found:
    """What the catalogue says of all the tables."""

    def __init__(self, connection: DuckDBSession) -> None:
        (self.current,) = connection.raw.execute("SELECT current_schema()").fetchone() or ("main",)
        self._tables = {(row.schema, row.name): row for row in ask(connection, _TABLES)}
        self._columns = _by_table(ask(connection, _COLUMNS))
        self._constraints = _by_table(ask(connection, _CONSTRAINTS))
        self._indexes = _by_table(ask(connection, _INDEXES))
        self._sequences = sequences(connection)
        self._used: set[Place] = set()
        self._enums = {tuple(row.labels): row.name for row in ask(connection, _ENUMS)}
        self._others = ask(connection, _OTHERS)
        self._uneven = {
            (*place, name) for place, rows in self._columns.items() for name in uneven_lists(connection, place, rows)
        }

    def table(self, metadata: sa.MetaData, stored: StoredTable) -> sa.Table:
        """A table with all but its foreign keys."""
        place = (stored.schema or self.current, stored.name)
        row = self._tables[place]
        collations = {each.column: each.collation for each in clauses(row.sql) if each.column and each.collation}
        table = sa.Table(
            stored.name,
            metadata,
            *(self._column(each, collations.get(each.name)) for each in self._columns[place]),
            schema=stored.schema,
            comment=row.comment,
        )
        for each in self._constraints[place]:
            constraint = _constraint(table, each)
            if constraint is not None:
                table.append_constraint(constraint)
        names = {each.name for each in table.columns}
        for each in self._indexes[place]:
            _index(table, index_of(each.name, each.is_unique, each.expressions, names))
        have_one_numbered(table)
        return table

    def _column(self, row: Any, collation: str | None) -> sa.Column[Any]:
        numbering = sequences_of(row.default, self.current, self._sequences)
        self._used |= {each.place for each in numbering}
        is_numbered = bool(_NUMBERED.fullmatch(row.default or "")) and bool(numbering)
        computed = [sa.Computed(verbatim(row.expression), persisted=False)] if row.is_generated else []
        has_default = not row.is_generated and row.default is not None and row.default != "NULL"
        return sa.Column(
            row.name,
            self._type(row, collation),
            *computed,
            nullable=row.is_nullable,
            server_default=verbatim(row.default) if has_default else None,
            autoincrement=is_numbered,
            comment=row.comment,
            info={**(numbering[0].info(row.type) if is_numbered else {}), **_types_by_values(row.type)},
        )

    def _type(self, row: Any, collation: str | None) -> TypeEngine[Any]:
        if row.type == "VARCHAR" and collation is not None:
            return sa.VARCHAR(collation=collation)
        if (row.schema, row.table, row.name) in self._uneven:
            return EngineType("duckdb", row.type)
        if (labels := labels_of(row.type)) is None:
            return parse_type(row.type)
        return sa.Enum(*labels, name=self._enums.get(labels, f"{row.table}_{row.name}"))

    def add_foreign_keys(self, table: sa.Table, place: Place, tables: Mapping[Place, sa.Table]) -> None:
        """Give a table its foreign keys; DuckDB lets none point into another schema."""
        for row in self._constraints[place]:
            if row.kind == "FOREIGN KEY":
                parent = tables[place[0], row.parent]
                columns = [parent.c[name] for name in row.parent_columns]
                table.append_constraint(sa.ForeignKeyConstraint(row.columns, columns, name=row.constraint))

    def unmade(self) -> Iterable[Note]:
        """What cannot be made in a DuckDB database again."""
        for place, rows in self._constraints.items():
            for row in rows:
                if row.kind == "FOREIGN KEY" and row.parent == row.table:
                    yield Note(self._shown(place), f"foreign key of {', '.join(row.columns)}", _OF_ITSELF)

    def notes(self) -> Iterable[Note]:
        """What is there besides tables and what they rest on."""
        for row in self._others:
            yield Note(self._shown((row.schema, row.name)), row.kind, "Only tables are carried.")
        for each in self._sequences.values():
            if each.place not in self._used:
                yield Note(self._shown(each.place), "sequence", "No table takes numbers from it.")

    def _shown(self, place: Place) -> str:
        return place[1] if place[0] == self.current else ".".join(place)


def uneven_lists(connection: DuckDBSession, place: Place, columns: Iterable[Any]) -> list[str]:
    """Columns with lists of lists that are not all as long, which are no arrays elsewhere; deeper ones never are."""
    lists = [row for row in columns if isinstance(parse_type(row.type), sa.ARRAY) and row.type.endswith("[][]")]
    deep = [row.name for row in lists if row.type.endswith("[][][]")]
    names = {row.name: quoted(row.name) for row in lists if row.name not in deep}
    if not names:
        return deep
    parts = (
        f"bool_or(len(list_filter({name}, lambda l: l IS NULL OR len(l) = 0 OR len(l) <> len({name}[1]))) > 0)"
        for name in names.values()
    )
    table = ".".join(map(quoted, place))
    found = connection.raw.execute(f"SELECT {', '.join(parts)} FROM {table}").fetchone() or ()
    return deep + [name for name, is_uneven in zip(names, found, strict=True) if is_uneven]


def _types_by_values(definition: str) -> dict[str, object]:
    """What a column's `info` has of lists in lists: where these are uneven, they are their text."""
    type_ = parse_type(definition)
    kind = logical_type(type_).kind
    return {TYPES_BY_KIND: {kind: type_, Kind.NATIVE: EngineType("duckdb", definition)}} if kind == Kind.NESTED else {}


def _by_table(rows: Iterable[Any]) -> Mapping[Place, list[Any]]:
    found: dict[Place, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.schema, row.table].append(row)
    return found


def _constraint(table: sa.Table, row: Any) -> sa.Constraint | None:
    """A constraint but foreign keys and NOT NULL, which are of columns."""
    columns = [table.c[name] for name in row.columns]
    if row.kind == "PRIMARY KEY":
        return sa.PrimaryKeyConstraint(*columns, name=row.constraint)
    if row.kind == "UNIQUE":
        return sa.UniqueConstraint(*columns, name=row.constraint)
    if row.kind == "CHECK":
        check = check_of(row.constraint, row.expression)
        return sa.CheckConstraint(verbatim(str(check["sqltext"])), name=check["name"])
    return None


def _index(table: sa.Table, index: Any) -> None:
    parts: list[Any] = [
        verbatim(expression) if name is None else table.c[name]
        for name, expression in zip(index["column_names"], index.get("expressions", index["column_names"]), strict=True)
    ]
    sa.Index(index["name"], *parts, unique=bool(index["unique"]), _table=table)


_OF_ITSELF = (
    "It references its own table: it is not made in DuckDB, where no statement inserts a row together with the one "
    "that it references."
)
_HERE = "database_name = current_database()"
_TABLES = f"""
SELECT schema_name AS schema, table_name AS name, comment, sql FROM duckdb_tables() WHERE {_HERE} AND NOT temporary
"""
_COLUMNS = f"""
SELECT schema_name AS schema, table_name AS "table", column_name AS name, data_type AS type,
       column_default AS "default", is_nullable, is_generated, generation_expression AS expression, comment
FROM duckdb_columns() WHERE {_HERE} AND NOT internal ORDER BY column_index
"""
_CONSTRAINTS = f"""
SELECT schema_name AS schema, table_name AS "table", constraint_type AS kind, constraint_name AS "constraint",
       constraint_column_names AS columns, expression, referenced_table AS parent,
       referenced_column_names AS parent_columns
FROM duckdb_constraints() WHERE {_HERE} ORDER BY constraint_index
"""
# `expressions` is a list printed as text, which DuckDB's own cast reads back whatever is in it.
_INDEXES = f"""
SELECT schema_name AS schema, table_name AS "table", index_name AS name, is_unique,
       CAST(expressions AS VARCHAR[]) AS expressions
FROM duckdb_indexes() WHERE {_HERE} ORDER BY index_name
"""
_SEQUENCES = f"""
SELECT schema_name, sequence_name,
       CASE WHEN following BETWEEN min_value AND max_value THEN following
            WHEN "cycle" AND increment_by > 0 THEN min_value WHEN "cycle" THEN max_value END,
       min_value, max_value, increment_by, "cycle", comment
FROM (SELECT *, coalesce(CAST(last_value AS HUGEINT) + increment_by, start_value) AS following FROM duckdb_sequences())
WHERE {_HERE} AND NOT temporary ORDER BY ALL
"""
_ENUMS = f"""
SELECT type_name AS name, labels FROM duckdb_types()
WHERE {_HERE} AND NOT internal AND labels IS NOT NULL ORDER BY type_oid DESC
"""
_OTHERS = f"""
SELECT DISTINCT * FROM (
    SELECT schema_name AS schema, view_name AS name, 'view' AS kind FROM duckdb_views()
    WHERE {_HERE} AND NOT internal AND NOT temporary
    UNION ALL
    SELECT schema_name, function_name, 'macro' FROM duckdb_functions() WHERE {_HERE} AND NOT internal
) ORDER BY ALL
"""
