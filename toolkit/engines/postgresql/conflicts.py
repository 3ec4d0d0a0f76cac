"""Which rows broke a constraint of PostgreSQL, whose own error names one value and no row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from shlex import quote as shell
from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa
from msgspec import Struct
from psycopg import errors as pg

from toolkit.core.tables import ForeignKeySpec, TableSpec
from toolkit.engines.portable.refusals import undone
from toolkit.engines.postgresql.adapters import CODEC
from toolkit.engines.postgresql.errors import EXCHANGED, refused_row, value_of_key
from toolkit.engines.postgresql.sql import VALUE, literal, qualified, quoted
from toolkit.errors import (
    CORRECT_ROW,
    MissingParentError,
    RefusedRowError,
    StatementError,
    ToolkitError,
    UniqueConflictError,
)

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


def guarded(
    connection: PostgresSession,
    spec: TableSpec,
    statement: str,
    rows: str,
    only: Callable[[str], str] | None = None,
) -> None:
    """Run a statement that may find rows against a constraint; `rows` is the relation that holds them.

    `only` gives the same statement for some of them.
    """
    try:
        with connection.savepoint():
            connection.run(statement)
    except (pg.ForeignKeyViolation, pg.UniqueViolation) as error:
        find = find_orphans if isinstance(error, pg.ForeignKeyViolation) else find_duplicates
        named = find(connection, spec, rows) or find_named(connection, spec, rows, error)
        if named is None and only is not None and isinstance(error, pg.UniqueViolation):
            named = find_refused(connection, spec, rows, only, error)
        raise named or connection.known_error(error) from error
    except (pg.DataError, pg.IntegrityError) as error:
        found = only and find_refused(connection, spec, rows, only, error)
        raise found or connection.known_error(error) from error
    except pg.FeatureNotSupported as error:
        raise _ruled(connection, spec) or connection.known_error(error) from error
    except (psycopg.Error, sa.exc.DBAPIError) as error:
        raise connection.known_error(getattr(error, "orig", None) or error) from error


def _ruled(connection: PostgresSession, spec: TableSpec) -> StatementError | None:
    """That a table has rules ON INSERT or ON UPDATE, disabled ones too: beside them no upsert is allowed."""
    place = qualified(spec.table)
    query = (
        f"SELECT quote_ident(rulename) FROM pg_rewrite WHERE ev_class = {literal(place)}::regclass "
        "AND ev_type IN ('2', '3') ORDER BY 1"
    )
    names = [str(name) for (name,) in connection.run(query).fetchall()]
    if not names:
        return None
    drops = "; ".join(f"DROP RULE {name} ON {place}" for name in names)
    return StatementError(
        connection.name,
        f"{spec.name} has rules, beside which PostgreSQL updates no row by its key: {', '.join(names)}",
        f"Drop them for the time of the sync ({drops}), or leave the table out: --exclude {shell(spec.name)}.",
    )


def find_orphans(connection: PostgresSession, spec: TableSpec, rows: str) -> MissingParentError | None:
    """The rows of the relation `rows` (the table, or a staging table for it) whose parent is missing."""
    for foreign_key in spec.foreign_keys:
        count, first = _missing(connection, spec, rows, foreign_key)
        if count:
            columns = ", ".join(foreign_key.columns)
            return MissingParentError(connection.name, spec.name, columns, foreign_key.parent, count, first)
    return None


def _missing(connection: PostgresSession, spec: TableSpec, rows: str, foreign_key: ForeignKeySpec) -> tuple[int, str]:
    parents = [qualified(spec.table.metadata.tables[foreign_key.parent])]
    if foreign_key.parent == spec.name and rows not in parents:
        parents.append(rows)
    return without_parent(connection, spec, rows, foreign_key.columns, foreign_key.parent_columns, parents)


def without_parent(
    connection: PostgresSession,
    spec: TableSpec,
    rows: str,
    columns: Sequence[str],
    parent_columns: Sequence[str],
    parents: Sequence[str],
) -> tuple[int, str]:
    """How many rows point at none of the parents' (quoted names), and the key of one of them."""
    pairs = list(zip(columns, parent_columns, strict=True))
    present = " AND ".join(f"c.{quoted(child)} IS NOT NULL" for child, _ in pairs)
    match = " AND ".join(f"p.{quoted(parent)} = c.{quoted(child)}" for child, parent in pairs)
    absent = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {match})" for parent in parents)
    key = _key_text(spec, "c")
    row = _joined(connection, f"SELECT count(*), min({key}) FROM {rows} AS c WHERE {present} AND {absent}")
    assert row is not None
    return int(row[0]), str(row[1])


def find_duplicates(connection: PostgresSession, spec: TableSpec, rows: str) -> UniqueConflictError | None:
    """Two rows with one unique value: both in the relation `rows`, or one there and one in the table."""
    table = qualified(spec.table)
    other_key = " OR ".join(f"a.{quoted(name)} IS DISTINCT FROM b.{quoted(name)}" for name in spec.key) or "true"
    other_row = "a.ctid < b.ctid"
    for columns in filter(None, (*spec.unique_keys, spec.key)):
        searches = [(rows, other_row)]
        if columns != spec.key and rows != table:
            searches.append((table, other_key))
        for relation, differs in searches:
            found = _pair(connection, spec, columns, rows, relation, differs)
            if found:
                value, one, other = found
                return UniqueConflictError(connection.name, spec.name, ", ".join(columns), value, (one, other))
    return None


def _pair(
    connection: PostgresSession, spec: TableSpec, columns: tuple[str, ...], rows: str, relation: str, differs: str
) -> tuple[str, str, str] | None:
    folding = folding_columns(connection, spec, columns)
    one, other = (
        f"concat_ws(', ', {', '.join(f'left({alias}.{quoted(name)}::text, 80)' for name in columns)})" for alias in "ab"
    )
    row = _joined(
        connection,
        f"SELECT {one}, {other}, {_key_cells(spec, 'a')}, {_key_cells(spec, 'b')} "
        f"FROM {rows} AS a, {relation} AS b WHERE {_same(columns, folding)} AND ({differs}) LIMIT 1",
    )
    if row is None:
        return None
    value = str(row[0])
    if value != row[1]:
        causes = ", ".join(folds.cause for folds in folding.values())
        value += f" and {row[1]} (one value to {causes})"
    parts = len(spec.shown_key)
    return value, CODEC.key_text(spec, row[2 : 2 + parts]), CODEC.key_text(spec, row[2 + parts :])


def _joined(connection: PostgresSession, query: str) -> tuple[Any, ...] | None:
    """The first row of a join of relations that have no statistics yet.

    For `LIMIT 1` the planner expects to meet a pair soon, and compares each row with each: it takes hours to find two
    among 400,000.
    """
    with undone(connection):
        connection.run("SET LOCAL enable_nestloop = off")
        return connection.run(query).fetchone()


def _same(columns: Iterable[str], folding: Mapping[str, Folding]) -> str:
    """Where rows of two relations have equal values in the eyes of the table's columns."""
    pairs = ((f"a.{quoted(name)}", f"b.{quoted(name)}", folding.get(name)) for name in columns)
    return " AND ".join(
        f"{a} = {b}" if folds is None else f"{a}{folds.suffix} = {b}{folds.suffix}" for a, b, folds in pairs
    )


class Folding(Struct, frozen=True):
    """What makes a column take different texts for one, and the suffix that makes another expression do so."""

    cause: str
    suffix: str


def folding_columns(connection: PostgresSession, spec: TableSpec, columns: Sequence[str]) -> dict[str, Folding]:
    """Those of these columns that have a nondeterministic collation, or are of the type citext."""
    if not any(spec.column(name).type.is_text for name in columns):
        return {}
    query = sa.text(
        "SELECT attname, typname = 'citext' AS is_citext, format_type(atttypid, -1) AS type, "
        "quote_ident(n.nspname) || '.' || quote_ident(collname) AS collation FROM pg_attribute "
        "JOIN pg_type ON pg_type.oid = atttypid LEFT JOIN pg_collation AS c ON c.oid = attcollation "
        "LEFT JOIN pg_namespace AS n ON n.oid = collnamespace "
        "WHERE attrelid = to_regclass(:table) AND attnum > 0 AND (typname = 'citext' OR NOT collisdeterministic)"
    )
    found = {}
    for row in connection.sqlalchemy.execute(query, {"table": qualified(spec.table)}):
        cause = "the type citext" if row.is_citext else f"the collation {row.collation}"
        suffix = f"::{row.type}" if row.is_citext else f" COLLATE {row.collation}"
        found[str(row.attname)] = Folding(cause, suffix)
    return {name: found[name] for name in columns if name in found}


def find_named(
    connection: PostgresSession, spec: TableSpec, rows: str, error: pg.IntegrityError
) -> ToolkitError | None:
    """The rows, of the relation `rows` or else of the table, with the value that broke a key the model does not have.

    None if the server names no value, as to a role that may not read the columns.
    """
    key = value_of_key(error)
    if key is None:
        return None
    columns, value = key
    expressions = columns
    if isinstance(error, pg.ForeignKeyViolation):
        # Bare names, where those of an index are SQL.
        names = columns.split(", ")
        if not {*names} <= {*spec.column_names}:
            return None
        expressions = ", ".join(map(quoted, names))
    found: dict[str, None] = {}
    for relation in dict.fromkeys((rows, qualified(spec.table))):
        is_it = f"concat_ws(', ', {expressions}) = {VALUE}"
        query = f"SELECT {_key_cells(spec, 'c')} FROM {relation} AS c WHERE {is_it} LIMIT 2"
        try:
            with connection.savepoint():
                rows_found = connection.run(query, value).fetchall()
                found |= dict.fromkeys(CODEC.key_text(spec, row) for row in rows_found)
        except psycopg.Error:  # The key has other columns than those that are written.
            return None
        if isinstance(error, pg.ForeignKeyViolation):
            break
        if not found:
            # A value of an expression that texts on their way do not have: whose it is in the table is another row.
            return None
    rest = [*found][:2]
    is_whole = {*columns.split(", ")} <= {*spec.column_names} and not _is_partial(connection, spec, error)
    if isinstance(error, pg.UniqueViolation) and len(rest) > 1 and is_whole:
        return UniqueConflictError(connection.name, spec.name, columns, value, rest)
    if not rest:
        return None
    also = f", which {rest[1]} has too" if isinstance(error, pg.UniqueViolation) and len(rest) > 1 else ""
    reason = f"{error.diag.message_primary} ({columns} = {value}{also})"
    return RefusedRowError(connection.name, spec.name, rest[0], reason, EXCHANGED if also else CORRECT_ROW)


def _is_partial(connection: PostgresSession, spec: TableSpec, error: pg.IntegrityError) -> bool:
    """Whether the index that was broken has some of the rows alone: no others are told apart by its columns."""
    query = (
        f"SELECT 1 FROM pg_index JOIN pg_class AS x ON x.oid = indexrelid WHERE relname = {VALUE} "
        f"AND indrelid = {literal(qualified(spec.table))}::regclass AND indpred IS NOT NULL"
    )
    return connection.run(query, error.diag.constraint_name or "").fetchone() is not None


def find_collation_duplicates(connection: PostgresSession, spec: TableSpec, stage: str) -> tuple[str, str] | None:
    """Two different keys, both in a staging table or one in the table, that the table's columns take for one."""
    same = _same(spec.key, folding_columns(connection, spec, spec.key))
    differ = " OR ".join(f'a.{quoted(name)}::text <> b.{quoted(name)}::text COLLATE "C"' for name in spec.key)
    for relation, once in ((stage, "a.ctid < b.ctid"), (qualified(spec.table), "true")):
        row = _joined(
            connection,
            f"SELECT {_key_text(spec, 'a')}, {_key_text(spec, 'b')} FROM {stage} AS a, {relation} AS b "
            f"WHERE {same} AND ({differ}) AND {once} LIMIT 1",
        )
        if row is not None:
            return str(row[0]), str(row[1])
    return None


def find_refused(
    connection: PostgresSession,
    spec: TableSpec,
    stage: str,
    insert: Callable[[str], str],
    error: pg.DataError | pg.IntegrityError,
) -> ToolkitError | None:
    """The first row of a staging table that is refused, found by inserting halves; nothing of them stays.

    `insert` gives the statement that inserts the rows with a certain `ctid`.
    """
    (pages,) = _row(connection, f"SELECT pg_relation_size({literal(stage)}::regclass) / 8192")
    first, last = 0, int(pages)
    while last - first > 1:
        middle = (first + last) // 2
        # Rows are refused one after the other in the order of the table, so the first one is in the first half, or
        # the first half is good.
        if _is_refused(connection, insert(f"ctid >= '({first},0)' AND ctid < '({middle},0)'"), error):
            last = middle
        else:
            first = middle
    places = connection.run(f"SELECT ctid::text FROM {stage} WHERE ctid >= '({first},0)' ORDER BY ctid").fetchall()
    for (place,) in places:
        if _is_refused(connection, insert(f"ctid = '{place}'"), error):
            row = _row(connection, f"SELECT {_key_cells(spec, 's')} FROM {stage} AS s WHERE ctid = '{place}'")
            key = CODEC.key_text(spec, row)
            column = _too_long(connection, spec, stage, place) or _uncastable(connection, spec, stage, place, error)
            return refused_row(connection.database, spec, key, column, error)
    return None


def _is_refused(connection: PostgresSession, statement: str, error: psycopg.Error) -> bool:
    try:
        with connection.raw.transaction(force_rollback=True):
            connection.run(statement)
    except psycopg.Error as found:
        return found.sqlstate == error.sqlstate
    return False


def _too_long(connection: PostgresSession, spec: TableSpec, stage: str, place: str) -> str | None:
    """The column of a row whose text is longer than its declared length: the server's error does not name it."""
    limits = connection.run(
        f"SELECT attname, atttypmod - 4 FROM pg_attribute WHERE attrelid = {literal(qualified(spec.table))}::regclass "
        "AND atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 4"
    ).fetchall()
    for name, limit in limits:
        if name in spec.column_names:
            query = f"SELECT length({quoted(name)}::text) > {limit} FROM {stage} WHERE ctid = '{place}'"
            if _row(connection, query)[0]:
                return str(name)
    return None


def _uncastable(
    connection: PostgresSession, spec: TableSpec, stage: str, place: str, error: psycopg.Error
) -> str | None:
    """The column of a row whose value its type does not take: the server's error names a value at most."""
    types = connection.run(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        f"WHERE attrelid = {literal(qualified(spec.table))}::regclass AND attnum > 0 AND NOT attisdropped"
    ).fetchall()
    for name, type_ in types:
        cast = f"SELECT {quoted(name)}::{type_} FROM {stage} WHERE ctid = '{place}'"
        if name in spec.column_names and _is_refused(connection, cast, error):
            return str(name)
    return None


def _row(connection: PostgresSession, query: str) -> tuple[Any, ...]:
    row = connection.run(query).fetchone()
    assert row is not None
    return tuple(row)


def _key_cells(spec: TableSpec, alias: str) -> str:
    """What to select of a row's key, or what else names it, for `CODEC.key_text`: by it, rows are recognised."""
    cells = (CODEC.select(spec.column(name), sa.literal_column(f"{alias}.{quoted(name)}")) for name in spec.shown_key)
    texts = (str(cell.compile(dialect=CODEC.dialect, compile_kwargs={"literal_binds": True})) for cell in cells)
    # SQLAlchemy doubles them for statements with parameters.
    return ", ".join(text.replace("%%", "%") for text in texts)


def _key_text(spec: TableSpec, alias: str) -> str:
    parts = ", ".join(f"{literal(name + '=')} || left({alias}.{quoted(name)}::text, 80)" for name in spec.shown_key)
    return f"concat_ws(', ', {parts})"
