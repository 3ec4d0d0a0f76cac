"""What two databases, or one, have to be worked on where there are no models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from shlex import quote as shell
from typing import TYPE_CHECKING

import sqlalchemy as sa
from msgspec import Struct, field

from toolkit.core.plan import NOT_CARRIED, TransferWarning
from toolkit.core.progress import SILENT, Progress
from toolkit.core.schema import WIDER, Note, Schema, TypesBy
from toolkit.core.schema_memory import MEMORY, memory_table, recall
from toolkit.engines import connect
from toolkit.errors import ConfigurationError, SchemaMismatchError, UnknownNameError
from toolkit.operations.migrations.revisions import exists
from toolkit.operations.records import is_own, is_record
from toolkit.operations.reflection.converted_types import with_converted, with_nulls
from toolkit.operations.reflection.created_names import Names, names_there
from toolkit.operations.reflection.created_tables import Made, features_of, made
from toolkit.operations.reflection.matched_tables import Joined, Pair, Side, joined, without_zone
from toolkit.operations.reflection.requested_tables import Wanted
from toolkit.operations.reflection.standing_forms import take_standing_forms

if TYPE_CHECKING:
    from toolkit.config import Database
    from toolkit.engines.catalogue import StoredTable
    from toolkit.engines.contract import Configured, Connection


class Reflection(Struct, frozen=True):
    """The tables to work on, in the source's names; `names` are those that were asked for, or all that can be.

    `renames` has the target's names of tables and columns, where they are others. `is_made`: the target has none of
    these tables, and gets them.
    """

    metadata: sa.MetaData
    names: tuple[str, ...]
    origin: str
    renames: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    is_made: bool = False

    def warnings(self, wanted: Wanted) -> tuple[TransferWarning, ...]:
        """What is not carried, or not as it is, of the tables that are worked on, and of what nobody has left out."""
        return tuple(
            TransferWarning(NOT_CARRIED, note.table, f"{note.what}: {note.reason}", note.column)
            for note in self.notes
            if note.table in self.names or not (wanted.tables or note.table in wanted.exclude)
        )


def reflect_one(database: Database, wanted: Wanted, *, is_read: bool = False) -> Reflection:
    """The tables of one database, of which all rows are to be read or not.

    Raises:
        UnknownNameError: it has no table of a name that was given.
        SchemaMismatchError: values would not be read, and nobody said so.
    """
    with connect(database) as connection:
        # What writers of a file would wait for: its values are read from a copy, where they would.
        connection.lock_tables(())
        schema = schema_of(connection, TypesBy.VALUES)
        _widen(schema.metadata, wanted.convert)
        if is_read:
            _require_readable(database.name, schema, wanted)
        require_known(connection, wanted, _known(schema), schema.notes)
        names, notes = chosen(schema.metadata.tables, wanted)
        if is_read:
            _require_none_left(database.name, schema, names, wanted)
        return Reflection(
            schema.metadata,
            names,
            f"the schema of {database.name}",
            notes=(*(note for note in schema.notes if not note.is_of_made), *notes),
        )


def _widen(metadata: sa.MetaData, convert: Sequence[str]) -> None:
    """Have columns read by the type that takes all that they hold: none is made of them.

    A key has to have digits; what is converted is of the type that it becomes.
    """
    for table in metadata.tables.values():
        for column in table.columns:
            place = f"{table.fullname}.{column.name}:"
            if not column.primary_key and not any(each.startswith(place) for each in convert):
                column.type = column.info.get(WIDER, column.type)


def reflect_both(
    own: Connection, target: Database, wanted: Wanted, *, compares: bool = False, progress: Progress = SILENT
) -> Reflection:
    """The tables of a source that is open and of a target; into one that has none of them, as they can be made there.

    Where both are only compared, what one side alone has is no obstacle.

    Raises:
        UnknownNameError: neither has a table of a name that was given.
        SchemaMismatchError: rows or values of the source would be left behind, and nobody said so.
    """
    own.lock_tables((), progress)
    with connect(target) if exists(target) else nullcontext() as other:
        if not compares and next(iter(own.stored_tables()), None) is None:
            _require_readable(own.name, schema_of(own, TypesBy.DECLARATION), wanted)
            raise SchemaMismatchError(
                [f"{own.name} has no tables"],
                "See that it is the database that is meant (toolkit inspect shows what is in one). Nothing was made.",
            )
        there = None if other is None else schema_of(other, _types(own, other))
        if there is not None and (compares or _meet(own, there, wanted)):
            assert other is not None
            return _joined(own, Side(other, there), wanted, compares=compares)
        return _made(own, target, wanted)


def schema_of(connection: Connection, types: TypesBy) -> Schema:
    """The tables of a database, with what the toolkit knows that they were made without.

    Raises:
        SchemaMismatchError: two cannot be told apart by their names.
    """
    twice = [name for name, count in Counter(each.shown for each in connection.stored_tables()).items() if count > 1]
    if twice:
        raise SchemaMismatchError(
            [
                f"{connection.name} has two tables that are {name}: one of a schema, and one with a dot in its name"
                for name in twice
            ],
            f'Rename one of them there: ALTER TABLE "{twice[0]}" RENAME TO …',
        )
    found = connection.schema(types)
    if MEMORY in found.metadata.tables:
        with connection.translated():
            kept = connection.sqlalchemy.execute(sa.select(memory_table())).all()
        recall(found.metadata, {row.name: row.document for row in kept})
    return found


def _types(connection: Connection, other: Connection) -> TypesBy:
    """Two databases of one engine hold what they hold; else values say of a time if it has a zone, if none is kept."""
    if _is_alike(connection, other.database):
        return TypesBy.STORAGE
    if connection.capabilities.has_strict_types:
        return TypesBy.DECLARATION
    zoned, local = (
        sa.DateTime(timezone=is_zoned).compile(other.sqlalchemy.dialect).casefold() for is_zoned in (True, False)
    )
    return TypesBy.VALUES if zoned == local else TypesBy.DECLARATION


def _is_alike(connection: Connection, other: Configured) -> bool:
    return connection.database.engine_name == other.engine_name


def _meet(own: Connection, there: Schema, wanted: Wanted) -> bool:
    """Whether the target has any of the source's tables, under a name that it may have been given there."""
    names = {table.name.casefold() for table in there.metadata.tables.values() if not _is_record(table)}
    fitting = Names(features_of(there), []).fitting

    def among(each: StoredTable) -> set[str]:
        if (renamed := wanted.rename.get(each.shown)) is not None:
            return {renamed.casefold(), renamed.rpartition(".")[2].casefold()}
        qualified = f"{each.schema}_{each.name}"
        found = {each.name, fitting(each.name), qualified.replace(".", "_"), each.name.replace(".", "_")}
        # Where the name of a table is one of the engine's own.
        found.add(f"_{each.name}")
        return {name.casefold() for name in found}

    return any(
        among(each) & names for each in own.stored_tables() if not wanted.makes_missing or each.shown in wanted.tables
    )


def _joined(source: Connection, target: Side, wanted: Wanted, *, compares: bool) -> Reflection:
    schema = schema_of(source, _types(source, target.connection))
    _require_readable(source.name, schema, wanted)
    _require_readable(target.connection.name, target.schema, wanted, None if compares else schema.metadata.tables)
    records = [table.fullname for table in schema.metadata.tables.values() if _is_record(table)]
    records += [table.fullname for table in target.schema.metadata.tables.values() if _is_record(table)]
    left = {*wanted.exclude, *(name for name in records if name not in wanted.tables)}
    rename = {**names_there(schema.metadata, target.schema.metadata, features_of(target.schema)), **wanted.rename}
    found = joined(Side(source, schema), target, rename, left, wanted.exclude_columns)
    if not target.connection.capabilities.has_strict_types:
        with_converted(Schema(schema.dialect, found.metadata), wanted.convert)
    known = {*_known(schema), *_known(target.schema), *found.metadata.tables}
    require_known(source, wanted, known, (*schema.notes, *target.schema.notes))
    both = tuple(pair.source.fullname for pair in found.pairs)
    names = tuple(found.metadata.tables) if compares else both
    names = tuple(name for name in names if name in (wanted.tables or names))
    if not compares:
        _require_none_left(source.name, schema, names, wanted)
        _require_all(source, target.connection, found, wanted)
        for name in {*found.only_in_source, *found.only_in_target} & {*found.metadata.tables}:
            found.metadata.remove(found.metadata.tables[name])
    if source.capabilities.has_strict_types and not target.connection.capabilities.has_strict_types:
        take_standing_forms(found, target.connection, names)
    notes = tuple(
        Note(name, "table", "It is a migration tool's record.")
        for name, table in schema.metadata.tables.items()
        if name in records and name not in wanted.tables and not is_own(table.name)
    )
    # Of tables alone: what their constraints would become is no question where there are others.
    beside = tuple(note for note in schema.notes if note.table not in schema.metadata.tables and not note.is_of_made)
    told = (*beside, *notes) if not wanted.tables else ()
    zones = () if compares else without_zone(found, target.connection)
    origin = f"the tables of {target.connection.name}"
    return Reflection(found.metadata, names, origin, found.renames, (*told, *zones))


def _known(schema: Schema) -> Collection[str]:
    """The tables, and those that may not be read."""
    return [*schema.metadata.tables, *(note.table for note in schema.notes if note.is_unread)]


def _require_readable(database: str, schema: Schema, wanted: Wanted, among: Collection[str] | None = None) -> None:
    """Check that all rows can be read of the tables that are to be read, or of those `among` them.

    Raises:
        SchemaMismatchError: with all of which they cannot.
    """
    left = [
        note
        for note in schema.notes
        if note.is_unread
        and note.table not in wanted.exclude
        and note.table in (wanted.tables or (note.table,))
        and (among is None or note.table in among)
    ]
    if left:
        names = [note.table for note in left]
        raise SchemaMismatchError(
            [
                f"{database} may have rows in {x.table}, and {x.reason[0].lower()}{x.reason[1:].rstrip('.')}"
                for x in left
            ],
            f"{left[0].remedy}, or leave out what is not to be read: "
            f"{' '.join(f'--exclude {shell(name)}' for name in names)}.",
        )


def _require_none_left(source: str, schema: Schema, names: Collection[str], wanted: Wanted) -> None:
    """Check that no table that is read has rows with values that are not.

    Raises:
        SchemaMismatchError: with all of them.
    """
    left = [
        each
        for each in schema.left_behind
        if each.parent in names and f"{each.table}.{each.column}" not in wanted.exclude_columns
    ]
    if left:
        options = [f"--exclude-column {shell(f'{each.table}.{each.column}')}" for each in left]
        raise SchemaMismatchError(
            [
                f"{source} has values of {each.table}.{each.column}, which are not read: rows of {each.table} are read "
                f"as those of {each.parent}"
                for each in left
            ],
            f"Leave out what is not to be copied: {' '.join(options)}; "
            f"or make {left[0].table} a table of its own there (ALTER TABLE … NO INHERIT …).",
        )


def _require_all(source: Connection, target: Connection, found: Joined, wanted: Wanted) -> None:
    """Check that nothing with rows or values is left behind that nobody has named.

    Raises:
        SchemaMismatchError: with all of it.
    """
    names = [name for name in found.only_in_source if name in (wanted.tables or found.only_in_source)]
    problems, advice, lacking = [], [], []
    for name in names:
        if source.holds(found.metadata.tables[name]):
            lacking.append(name)
            problems.append(f"{target.name} has no table {name}, of which {source.name} has rows")
            advice.append(f"--exclude {shell(name)}")
    for pair in found.pairs:
        if pair.source.fullname not in (wanted.tables or [pair.source.fullname]):
            continue
        for column in _unanswered(source, pair, wanted):
            place = f"{pair.source.fullname}.{column}"
            there = "computes" if column in pair.computed_in_target else "has no column"
            problems.append(f"{target.name} {there} {place}, of which {source.name} has values")
            advice.append(f"--exclude-column {shell(place)}")
    if problems:
        others = "name the target's: --rename SOURCE=TARGET"
        raise SchemaMismatchError(
            problems,
            f"Leave out what is not to be copied: {' '.join(advice)}; or {others}{_to_make(lacking, source, target)}.",
        )


def _to_make(tables: Sequence[str], source: Connection, target: Connection) -> str:
    """How tables that only the source has are made in the target."""
    if not tables:
        return ""
    # What was given as a URL has a name that only messages have.
    given = source.database.shown_url if set(source.name) & set("./\\:") else source.name
    names = " ".join(map(shell, [given, *tables]))
    them = tables[0] if len(tables) == 1 else "these tables"
    return f"; or make {them} there before: toolkit inspect {names} --for {target.database.engine_name} --ddl"


def _unanswered(source: Connection, pair: Pair, wanted: Wanted) -> Iterator[str]:
    for column in pair.only_in_source:
        if f"{pair.source.fullname}.{column}" in wanted.exclude_columns:
            continue
        if source.holds(pair.source, sa.column(column).is_not(None)):
            yield column


def _made(source: Connection, target: Database, wanted: Wanted) -> Reflection:
    is_alike = _is_alike(source, target)
    schema = schema_of(source, TypesBy.STORAGE if is_alike else TypesBy.VALUES)
    _require_readable(source.name, schema, wanted)
    require_known(source, wanted, _known(schema), schema.notes)
    schema = with_converted(schema, wanted.convert)
    if not is_alike:
        schema = with_nulls(schema, wanted.convert)
    names, notes = chosen(schema.metadata.tables, wanted)
    _require_none_left(source.name, schema, names, wanted)
    there = Made(schema) if is_alike else made(schema, target.kind)
    schema = there.schema
    # Of tables that are made, and unless some were named, of what is beside all tables.
    told = [
        note
        for note in (*schema.notes, *there.types)
        if note.table in names or not (wanted.tables or note.table in schema.metadata.tables)
    ]
    return Reflection(
        schema.metadata, names, f"the schema of {source.name}", there.renames, (*told, *notes), is_made=True
    )


def _is_record(table: sa.Table) -> bool:
    return is_record(table.name, table.columns.keys())


def require_known(connection: Connection, wanted: Wanted, tables: Collection[str], notes: Sequence[Note] = ()) -> None:
    """Check that the tables that were named are there; of those to leave out, any that the database knows will do.

    Raises:
        UnknownNameError: one is not.
        ConfigurationError: one is something else than a table with rows of its own, as the `notes` say.
    """
    others = {note.table: note for note in reversed(notes) if note.table not in tables}
    for note in filter(None, map(others.get, wanted.tables)):
        reason = f"{note.reason[0].lower()}{note.reason[1:]}"
        raise ConfigurationError(f"{note.table} ({note.what}) is not carried: {reason}", "Leave out its name.")
    unknown = [name for name in wanted.exclude if name not in tables]
    inspector = sa.inspect(connection.sqlalchemy) if unknown else None
    unknown = [name for name in unknown if inspector is not None and not inspector.has_table(name)]
    for name in (*(each for each in wanted.tables if each not in tables), *unknown):
        raise UnknownNameError("table", name, tables)


def chosen(tables: Mapping[str, sa.Table], wanted: Wanted) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """The tables to work on, and what is left out though nobody said so."""
    names, notes = [], []
    for name, table in tables.items():
        if name in wanted.exclude or name not in (wanted.tables or tables):
            continue
        if _is_record(table) and not wanted.tables:
            if not is_own(table.name):
                notes.append(Note(name, "table", "It is a migration tool's record."))
            continue
        names.append(name)
    return tuple(names), tuple(notes)
