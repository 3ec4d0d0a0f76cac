"""MariaDB's tables as SQLAlchemy has them, by a few questions to its catalogue for all of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from toolkit.core.logical import INTEGER_KINDS, Kind, logical_type
from toolkit.core.numbering import USUAL, numbering_info
from toolkit.core.schema import TYPES_BY_KIND, WIDER, Note, Schema, TypesBy
from toolkit.core.verbatim import verbatim
from toolkit.engines.catalogue import StoredTable
from toolkit.engines.mariadb import rights
from toolkit.engines.mariadb.catalogue import ROW_END
from toolkit.engines.mariadb.column_types import is_numbered, questions, type_of, types_by_kind
from toolkit.engines.mariadb.definitions import TRANSACTIONAL, definition, inner_number, takes_numbers
from toolkit.engines.mariadb.foreign_keys import foreign_keys, without_overlaps
from toolkit.engines.mariadb.rights import quoted
from toolkit.engines.mariadb.session import MariaDBSession
from toolkit.engines.mariadb.types import LABELS, actual_type
from toolkit.engines.mariadb.zero_dates import condition, text_of_dates

_EXACT = ("_nopad_bin", "_0900_bin")
_WITHOUT_SEQUENCE = "Sequences are not carried: make one there, and let the column's default name it."
_OVERLAPS = "It is WITHOUT OVERLAPS: periods of one key may overlap there."
_INNER = "It goes on over all rows there, not within those of one key: only MyISAM and Aria number so."
_ONLY_TABLES = "Only tables are carried."


def schema_of(connection: MariaDBSession, stored: Sequence[StoredTable], types: TypesBy) -> Schema:
    """These tables, and what there is beside them; of a server's own kind, they are taken for no more than they are.

    Of others, what their tables lack is told, too.
    """
    is_alike = types is TypesBy.STORAGE
    found, metadata = _Found(connection, types), sa.MetaData()
    hidden = list(rights.unread(connection, stored))
    for each in stored:
        if each.name not in {note.table for note in hidden}:
            found.table(metadata, each.name)
    for table in list(metadata.tables.values()):
        found.add_foreign_keys(table, metadata)
    _type_as_parents(metadata)
    notes = (each for each in found.notes(metadata) if not is_alike or not (each.is_of_made or each.is_of_type))
    return Schema("mysql", metadata, (*hidden, *rights.unseen(connection), *notes))


class _Found:
    """What the catalogue says of all the tables of the database."""

    def __init__(self, connection: MariaDBSession, types: TypesBy) -> None:
        self._connection, self._is_alike = connection, types is TypesBy.STORAGE
        self._by_values = types is TypesBy.VALUES
        self._tables = {row.name: row for row in self._ask(_TABLES)}
        self._columns = _by_table(self._ask(_COLUMNS))
        self._indexes = _by_table(self._ask(_INDEXES))
        self._checks = _by_table(self._ask(_CHECKS))
        self._others = self._ask(_OTHERS)
        self._notes: list[Note] = []

    def _ask(self, query: str) -> Sequence[Any]:
        return self._connection.sqlalchemy.execute(sa.text(query)).all()

    def table(self, metadata: sa.MetaData, name: str) -> None:
        """A table with all but its foreign keys."""
        row, rows = self._tables[name], self._columns[name]
        documents = {each for check in self._checks[name] if (each := _document(check)) is not None}
        odd = self._odd(name, rows)
        columns = [self._column(name, each, each.name in documents, each.name in odd, row.following) for each in rows]
        made = sa.Table(name, metadata, *columns, comment=row.remark or None, mysql_engine=row.engine)
        self._add_keys(made, name)
        for check in self._checks[name]:
            if _document(check) is None:
                given = None if check.level == "Column" else check.name
                made.append_constraint(sa.CheckConstraint(verbatim(check.clause), name=given))
        self._tell(name, row, rows, documents)
        if (number := inner_number(made)) is not None:
            self._notes.append(Note(name, "AUTO_INCREMENT", _INNER, number, is_of_made=not self._is_alike))

    def _odd(self, name: str, rows: Sequence[Any]) -> frozenset[str]:
        """The columns that hold what they do not seem to, by one pass over the rows of tables that may have some.

        All of them may, where another database may hold what this one does not.
        """
        if self._is_alike:
            return frozenset(row.name for row in rows)
        asked: dict[str, str] = {}
        for row in rows:
            cell = quoted(self._connection, row.name)
            asked |= questions(row.name, cell, row.type, numbers=is_numbered(row))
            if self._by_values and text_of_dates(row.type):
                asked[row.name] = f"max({condition(cell)})"
        if not asked:
            return frozenset()
        [answers] = self._connection.run(f"SELECT {', '.join(asked.values())} FROM {quoted(self._connection, name)}")
        return frozenset(column for column, answer in zip(asked, answers, strict=True) if answer)

    def _column(self, table: str, row: Any, is_document: bool, is_odd: bool, following: int | None) -> sa.Column[Any]:
        type_, reason = type_of(table, row, is_document=is_document, is_odd=is_odd)
        if reason is not None:
            self._notes.append(Note(table, f"type {row.type}", f"{reason}.", row.name))
        extra = (row.extra or "").lower()
        if "on update" in extra:
            self._notes.append(
                Note(table, "ON UPDATE CURRENT_TIMESTAMP", "No other engine has it.", row.name, is_of_made=True)
            )
        if "invisible" in extra:
            self._notes.append(Note(table, "INVISIBLE", "It is a column like others there.", row.name, is_of_made=True))
        if takes_numbers(row.standard):
            self._notes.append(Note(table, f"default {row.standard}", _WITHOUT_SEQUENCE, row.name))
        numbers = is_numbered(row)
        if numbers and logical_type(type_).kind not in INTEGER_KINDS:
            reason = "Only whole numbers of up to 63 bits and a sign number themselves there."
            self._notes.append(Note(table, "AUTO_INCREMENT", reason, row.name, is_of_made=True))
        computed = (
            [] if row.expression is None else [sa.Computed(verbatim(row.expression), persisted="stored" in extra)]
        )
        has_default = not computed and row.standard is not None and row.standard != "NULL"
        return sa.Column(
            row.name,
            type_,
            *computed,
            nullable=row.nullable == "YES",
            server_default=verbatim(row.standard) if has_default else None,
            autoincrement=numbers,
            comment=row.remark or None,
            info={
                "declared": row.type,
                "collation": row.collation,
                TYPES_BY_KIND: types_by_kind(row) or text_of_dates(row.type),
                **({WIDER: text_of_dates(row.type)[Kind.NATIVE]} if is_odd and text_of_dates(row.type) else {}),
                **(numbering_info(USUAL, following) if numbers else {}),
            },
        )

    def _add_keys(self, table: sa.Table, name: str) -> None:
        """The primary key, unique constraints and indexes, as far as they are of whole columns."""
        ends = {each.name for each in self._columns[name] if (each.expression or "").upper() == ROW_END}
        parts: dict[str, list[Any]] = defaultdict(list)
        for row in self._indexes[name]:
            # Each key of a table with history ends with when a row ended: of those that are, with no moment at all.
            if row.part not in ends:
                parts[row.name].append(row)
        for index, rows in parts.items():
            if rows[0].kind not in ("BTREE", "HASH", "RTREE") or any(row.sub_part is not None for row in rows):
                whole = "the first characters of columns" if rows[0].kind in ("BTREE", "HASH") else rows[0].kind.lower()
                self._notes.append(Note(name, f"index {index}", f"It is of {whole}.", is_of_made=True))
                continue
            columns = [table.c[row.part] for row in rows]
            if index == "PRIMARY":
                table.append_constraint(sa.PrimaryKeyConstraint(*columns))
            elif not rows[0].non_unique:
                table.append_constraint(sa.UniqueConstraint(*columns, name=index))
            elif rows[0].kind == "RTREE":
                self._notes.append(Note(name, f"index {index}", "It is of shapes.", is_of_made=True))
            else:
                sa.Index(index, *(_ordered(table.c[row.part], row.direction) for row in rows), _table=table)

    def add_foreign_keys(self, table: sa.Table, metadata: sa.MetaData) -> None:
        """Give a table its foreign keys, as far as they point at tables of the same database."""
        made = definition(self._connection.raw, quoted(self._connection, table.name))
        for index in without_overlaps(made):
            self._notes.append(Note(table.name, f"index {index}", _OVERLAPS, is_of_made=True))
        for key in foreign_keys(made):
            parent = metadata.tables.get(key.parent) if key.is_here else None
            if parent is None:
                columns = ", ".join(key.columns)
                self._notes.append(Note(table.name, f"foreign key of {columns}", f"There is no {key.parent} here."))
                continue
            table.append_constraint(
                sa.ForeignKeyConstraint(
                    key.columns,
                    [parent.c[each] for each in key.parent_columns],
                    name=key.name,
                    ondelete=key.on_delete,
                    onupdate=key.on_update,
                )
            )

    def _tell(self, name: str, row: Any, columns: Sequence[Any], documents: Collection[str]) -> None:
        folding = [
            each
            for each in columns
            if each.collation
            and not each.collation.endswith(_EXACT)
            and each.name not in documents
            and actual_type(each.type).name not in LABELS
        ]
        for collation in dict.fromkeys(each.collation for each in folding):
            named = ", ".join(each.name for each in folding if each.collation == collation)
            reason = "Texts that it takes for one (by case, accents, spaces at the end) are several there, in keys too."
            self._notes.append(Note(name, f"collation {collation} of {named}", reason, is_of_made=True))
        if unsigned := [each.name for each in columns if actual_type(each.type).unsigned]:
            reason = "Negative numbers are taken there, too."
            self._notes.append(Note(name, f"unsigned of {', '.join(unsigned)}", reason, is_of_made=True))
        if "partitioned" in (row.options or ""):
            self._notes.append(Note(name, "partitions", "It is one table there.", is_of_made=True))
        if self._is_alike and row.engine != TRANSACTIONAL:
            reason = f"It is of {TRANSACTIONAL} there: rows of others cannot be undone."
            self._notes.append(Note(name, f"ENGINE={row.engine}", reason))
        if row.kind == "SYSTEM VERSIONED":
            self._notes.append(Note(name, "system versioning", "Only the rows of now are carried."))

    def notes(self, metadata: sa.MetaData) -> Iterator[Note]:
        """What there is that is not carried, or not as it is."""
        yield from self._notes
        for row in self._others:
            yield Note(row.place if row.place in metadata.tables else row.name, row.kind, _ONLY_TABLES)


def _type_as_parents(metadata: sa.MetaData) -> None:
    """Give columns that point at a number the type that this one has: the server has both as one type, too."""
    keys = [
        each for table in metadata.tables.values() for key in table.foreign_key_constraints for each in key.elements
    ]
    while unlike := [each for each in keys if _types(each.column) and not _types(each.parent)]:
        for each in unlike:
            each.parent.type, each.parent.info[TYPES_BY_KIND] = each.column.type, _types(each.column)


def _types(column: sa.Column[Any]) -> Mapping[str, sa.types.TypeEngine[Any]]:
    found: Mapping[str, sa.types.TypeEngine[Any]] = column.info[TYPES_BY_KIND]
    return found


def _by_table(rows: Sequence[Any]) -> Mapping[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[row.place].append(row)
    return found


_JSON_CHECK = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)")


def _document(check: Any) -> str | None:
    """The column that a check says to be of documents: how a JSON column is kept."""
    found = _JSON_CHECK.fullmatch(check.clause)
    return None if found is None else found[1].replace("``", "`")


def _ordered(column: sa.Column[Any], direction: str | None) -> Any:
    return column.desc() if direction == "D" else column


_TABLES = """
SELECT t.table_name AS name, t.table_comment AS remark, t.auto_increment AS following, t.create_options AS options,
       t.table_type AS kind, t.engine AS engine
FROM information_schema.tables AS t
WHERE t.table_schema = database() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
"""
_COLUMNS = """
SELECT c.table_name AS place, c.column_name AS name, c.column_type AS type, c.is_nullable AS nullable,
       c.column_default AS standard, c.extra AS extra, c.generation_expression AS expression,
       c.column_comment AS remark, c.collation_name AS collation
FROM information_schema.columns AS c WHERE c.table_schema = database() ORDER BY c.table_name, c.ordinal_position
"""
_INDEXES = """
SELECT s.table_name AS place, s.index_name AS name, s.column_name AS part, s.sub_part AS sub_part,
       s.non_unique AS non_unique, s.index_type AS kind, s.collation AS direction
FROM information_schema.statistics AS s
WHERE s.table_schema = database() ORDER BY s.table_name, s.index_name <> 'PRIMARY', s.index_name, s.seq_in_index
"""
_CHECKS = """
SELECT c.table_name AS place, c.constraint_name AS name, c.check_clause AS clause, c.level AS level
FROM information_schema.check_constraints AS c
WHERE c.constraint_schema = database() ORDER BY c.table_name, c.constraint_name
"""
_OTHERS = """
SELECT v.table_name AS name, v.table_name AS place, 'view' AS kind FROM information_schema.tables AS v
WHERE v.table_schema = database() AND v.table_type = 'VIEW'
UNION ALL
SELECT t.trigger_name, t.event_object_table, 'trigger' FROM information_schema.triggers AS t
WHERE t.trigger_schema = database()
UNION ALL
SELECT r.routine_name, r.routine_name, lower(r.routine_type) FROM information_schema.routines AS r
WHERE r.routine_schema = database()
UNION ALL
SELECT e.event_name, e.event_name, 'event' FROM information_schema.events AS e WHERE e.event_schema = database()
UNION ALL
SELECT s.table_name, s.table_name, 'sequence' FROM information_schema.tables AS s
WHERE s.table_schema = database() AND s.table_type = 'SEQUENCE'
ORDER BY 3, 1
"""
