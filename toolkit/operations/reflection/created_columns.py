"""The columns of a table that is made in another engine: types, defaults, generated values, numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects import postgresql

from toolkit.core.engine_type import EngineType
from toolkit.core.numbering import NEXT_NUMBER, NUMBERING, USUAL, Numbering, is_beyond
from toolkit.core.schema import Note
from toolkit.core.sql_terms import ColumnMeaning, Untranslatable, quoted, text_literal
from toolkit.core.translated_defaults import translated_default
from toolkit.core.translated_sql import Translation
from toolkit.core.types import JSON_KINDS, TEXT_KINDS, Kind, logical_type
from toolkit.core.verbatim import text_of, verbatim
from toolkit.engines.contract import Engine, SchemaFeatures
from toolkit.engines.portable.type_texts import type_text
from toolkit.operations.reflection.created_numbers import is_numbered, numbered_key, steps_of

# The digits of decimals that any double gives back.
_DOUBLE_DIGITS = 15
_DECLARED = "declared"
# By which texts are compared, where the database gives each column one, so that no type names it.
_COLLATION = "collation"
_WRITTEN = TEXT_KINDS | JSON_KINDS | {Kind.NATIVE}
_AS_TEXT = r"(VARCHAR|\w*TEXT|CLOB|JSON)\b"
_ZONED = r"ZONE|TZ"
_INTERVALS = frozenset({Kind.INTERVAL, Kind.CALENDAR_INTERVAL})
_OF_ANY_LENGTH = frozenset({Kind.TEXT, Kind.BYTES})


def meaning_of(column: sa.Column[Any], source: SchemaFeatures) -> ColumnMeaning:
    """What a column is to the texts that name it."""
    type_: Any = column.type
    if isinstance(type_, postgresql.DOMAIN):
        type_ = type_.data_type
    kind = logical_type(column.type)
    declared = column.info.get(_DECLARED)
    pattern = source.sql.numeric_declarations
    return ColumnMeaning(
        column.name,
        kind.kind,
        _folding_type(type_, source) or getattr(type_, "collation", None) or column.info.get(_COLLATION),
        is_padded=isinstance(type_, sa.CHAR | sa.NCHAR),
        is_wide=kind.kind == Kind.DECIMAL and (kind.precision is None or kind.precision > _DOUBLE_DIGITS),
        is_numeric=bool(pattern and declared and re.fullmatch(pattern, declared, re.IGNORECASE | re.DOTALL)),
        labels=tuple(getattr(type_, "enums", None) or ()),
    )


def _folding_type(type_: sa.types.TypeEngine[Any], source: SchemaFeatures) -> str | None:
    """The name of a type that compares texts without regard to case, if it is that."""
    name = type_.definition if isinstance(type_, EngineType) else type(type_).__name__
    return name if name.upper() == source.sql.folding_type else None


class Computation(Struct, frozen=True):
    """What a generated column is, and from which columns."""

    text: str
    used: frozenset[str]


class TableMaking(Struct, dict=True):
    """A table of the source's, and what is told of it while it is made in the target."""

    table: sa.Table
    source: SchemaFeatures
    target: SchemaFeatures
    engine: Engine
    notes: list[Note]

    def note(self, what: str, reason: str, column: str | None = None) -> None:
        """Tell what is not carried, or not as it is."""
        self.notes.append(Note(self.table.fullname, what, reason, column))

    def left_out(self, what: str, error: Untranslatable, column: str | None = None) -> None:
        """Tell that a text is not carried, for its meaning is not certain."""
        self.note(what, f"Left out: {error}.", column)

    def translation(self) -> Translation:
        """From the source's SQL to the target's, over the columns of the table."""
        return Translation(self.source.sql, self.target.sql, self.meanings)

    def remarked(self, translation: Translation, what: str, column: str | None = None) -> None:
        """Tell how the meaning of a text differs."""
        for remark in dict.fromkeys(translation.remarks):
            self.note(what, f"Made, but {remark}.", column)

    @cached_property
    def meanings(self) -> dict[str, ColumnMeaning]:
        """What each column is."""
        return {each.name: meaning_of(each, self.source) for each in self.table.columns}

    @cached_property
    def changed_there(self) -> frozenset[str]:
        """The columns that the target changes by itself, where no check and no stored value may rest on such."""
        if self.target.constrains_changed:
            return frozenset()
        numbered = numbered_key(self.table)
        keys = (each for each in self.table.foreign_key_constraints if _changes_rows(each))
        found = {column.name for key in keys for column in key.columns}
        return frozenset(found if numbered is None else found | {numbered.name})

    def require_unchanged(self, names: Collection[str]) -> None:
        """Check that a check over these columns can be had.

        Raises:
            Untranslatable: it cannot.
        """
        if not self.changed_there.isdisjoint(names):
            what = "a column that numbers itself, or that a foreign key's action changes"
            raise Untranslatable(f"no check there is on {what}")

    @cached_property
    def computed(self) -> dict[str, Computation]:
        """By the columns that are generated in the target, too, what they are."""
        found: dict[str, Computation] = {}
        for column in self.table.columns:
            if column.computed is None:
                continue
            text = text_of(column.computed.sqltext)
            try:
                found[column.name] = self._computation(column, text)
            except Untranslatable as error:
                reason = f"It is a plain column, with the values of now: {error}."
                self.note(f"generated as {text}", reason, column.name)
        return found

    def _computation(self, column: sa.Column[Any], text: str) -> Computation:
        translation, type_ = self.translation(), column.type
        digits = (type_.precision, type_.scale) if isinstance(type_, sa.Numeric) else (None, None)
        value = translation.value(text, self.meanings[column.name].kind, digits)
        if not self.target.computed_when:
            raise Untranslatable("there are no generated columns")
        generated = {each.name for each in self.table.columns if each.computed is not None}
        if not self.target.computes_of_computed and generated & translation.used:
            raise Untranslatable("none is generated from another there")
        return Computation(value, frozenset(translation.used))


def _changes_rows(key: sa.ForeignKeyConstraint) -> bool:
    actions = {(each or "").upper() for each in (key.onupdate, key.ondelete)}
    return "SET NULL" in actions or (key.onupdate or "").upper() == "CASCADE"


def columns_of(making: TableMaking) -> list[sa.Column[Any]]:
    """The columns, in their order."""
    found = [_column(making, each) for each in making.table.columns]
    _tell_types(making)
    _tell_lengths(making)
    _tell_comments(making)
    return found


def _column(making: TableMaking, column: sa.Column[Any]) -> sa.Column[Any]:
    type_, extra, default = _declared(making, column, _type(making, column)), list[Any](), None
    nullable, numbers_itself = bool(column.nullable), False
    if column.name in making.computed:
        extra.append(_computed(making, column))
        nullable = nullable or _loses_not_null(making, column)
    elif is_numbered(column):
        is_key = not making.target.numbers_any_column and numbered_key(making.table) is column
        type_, extra = _numbered(making, column, type_, is_key=is_key)
        numbers_itself = is_key or bool(extra)
    elif column.computed is None:
        default = _default(making, column)
    if any(name.endswith("_on_conflict_not_null") and what for name, what in column.dialect_kwargs.items()):
        making.note("NOT NULL", "It is made without ON CONFLICT: NULL is refused there.", column.name)
    return sa.Column(
        column.name,
        type_,
        *extra,
        nullable=nullable and not column.primary_key,
        server_default=default,
        autoincrement=numbers_itself,
        comment=column.comment if making.target.has_comments else None,
        info=dict(column.info),
    )


# -- types -------------------------------------------------------------------------------------------------------------


def _type(making: TableMaking, column: sa.Column[Any]) -> Any:
    type_: Any = column.type
    base: Any = type_.data_type if isinstance(type_, postgresql.DOMAIN) else type_
    collation = getattr(base, "collation", None) or getattr(type_, "collation", None)
    if (folding := _folding_type(base, making.source)) is not None:
        making.note(f"type {folding}", "Texts that differ by case are two there, in keys too.", column.name)
    if isinstance(base, sa.Enum) and base.name is None and making.target.has_enums:
        return sa.Enum(*base.enums, name=f"{making.table.name}_{column.name}")
    if not collation:
        return type_
    making.note(f"collation {collation}", _without_collation(making, collation), column.name)
    plain: Any = base.copy()
    plain.collation = None
    return plain


def _declared(making: TableMaking, column: sa.Column[Any], type_: Any) -> Any:
    """The type under the name by which applications of the target know it, where any name would do."""
    name = making.target.declarations.get(making.meanings[column.name].kind)
    is_plain = numbered_key(making.table) is not column and not any(
        getattr(type_, option, None) for option in ("length", "collation", "enums")
    )
    return EngineType(making.engine.dialect, name, like=type_) if name is not None and is_plain else type_


def _without_collation(making: TableMaking, collation: str) -> str:
    if collation.upper() in making.source.sql.folding_collations:
        keys = "keys and checks that are carried take them for one, as here."
        return f"Texts that differ by case are two in queries there; {keys}"
    if collation.upper() in making.source.sql.padding_collations:
        return "Texts that differ by spaces at their end are two there, in keys and queries."
    if collation.upper() in making.source.sql.byte_collations and making.target.sql.orders_by_bytes:
        return "It is how texts are compared there anyway."
    return "Texts are ordered by another there."


def domain_checks(making: TableMaking) -> Iterator[tuple[str | None, str]]:
    """The names and conditions of what domains and enums demand, where these are not made."""
    for column in making.table.columns:
        type_: Any = column.type
        while isinstance(type_, postgresql.DOMAIN):
            making.note(f"domain {type_.name}", "It is the type that it rests on, with its checks.", column.name)
            if type_.check is not None:
                yield from _domain_check(making, column, type_)
            type_ = type_.data_type
        labels = making.meanings[column.name].labels
        if labels and not making.target.has_enums:
            what = f"enum {getattr(type_, 'name', None) or ''}".rstrip()
            making.note(what, "It is text, with a check of its labels.", column.name)
            yield None, f"({quoted(column.name)} IN ({', '.join(map(text_literal, labels))}))"


def _domain_check(
    making: TableMaking, column: sa.Column[Any], domain: postgresql.DOMAIN
) -> Iterator[tuple[str | None, str]]:
    text = text_of(domain.check)
    translation = making.translation()
    translation.columns = {**translation.columns, "VALUE": making.meanings[column.name]}
    try:
        condition = translation.check(text)
        making.require_unchanged({column.name})
    except Untranslatable as error:
        making.left_out(f"check {text} of its domain", error, column.name)
        return
    making.remarked(translation, f"check {text} of its domain", column.name)
    yield None, condition


def _tell_types(making: TableMaking) -> None:
    """Of the source's own types the target keeps the text."""
    for column in making.table.columns:
        type_: Any = column.type
        if making.meanings[column.name].kind == Kind.NATIVE and not isinstance(type_, postgresql.DOMAIN):
            name = type_.definition if isinstance(type_, EngineType) else type(type_).__name__.lower()
            making.note(f"type {name}", "Its text is kept: there is no such type there.", column.name)


def other_types(making: TableMaking, there: sa.Table, dialect: sa.Dialect) -> Iterator[Note]:
    """Of values that are neither text nor documents, those that the target has as these; and what it shortens."""
    for column in there.columns:
        type_, found = logical_type(column.type), type_text(column.type, dialect)
        held = type_
        while held.element is not None and found.endswith("[]"):
            held = held.element
        if held.kind not in _WRITTEN and re.match(_AS_TEXT, found, re.IGNORECASE):
            yield Note(making.table.fullname, f"type {type_}", f"It is {found} there.", column.name)
        elif type_.kind == Kind.TIMESTAMPTZ and not re.search(_ZONED, found, re.IGNORECASE):
            yield Note(making.table.fullname, f"type {type_}", f"It is {found} there, in UTC.", column.name)
        elif type_.kind in _INTERVALS and not re.match("INTERVAL", found, re.IGNORECASE):
            yield Note(making.table.fullname, f"type {type_}", f"It is {found} there, from 1970 on.", column.name)
        elif type_.kind in _OF_ANY_LENGTH and (short := _shortened(column, dialect)) is not None:
            reason = f"It is {short} there, where a key or an index has it: nothing longer is taken."
            yield Note(making.table.fullname, f"type {type_}", reason, column.name)


def _shortened(column: sa.Column[Any], dialect: sa.Dialect) -> str | None:
    """The type of a column of any length that has one where it is made."""
    if getattr(column.type, "length", None) is not None:
        return None
    found = dialect.type_compiler_instance.process(column.type, type_expression=column)
    return found if re.search(r"\(\d+\)", found) else None


def _tell_lengths(making: TableMaking) -> None:
    if making.target.keeps_lengths or not making.source.keeps_lengths:
        return
    names = [
        each.name
        for each in making.table.columns
        if getattr(each.type, "length", None) and making.meanings[each.name].kind == Kind.TEXT
    ]
    if names:
        making.note(f"length of {', '.join(names)}", "Texts of any length are taken there.")


def _tell_comments(making: TableMaking) -> None:
    names = [each.name for each in making.table.columns if each.comment]
    names += ["the table"] if making.table.comment else []
    if names and not making.target.has_comments:
        making.note(f"comment on {', '.join(names)}", "There are no comments there.")


# -- defaults and what is computed -------------------------------------------------------------------------------------


def _default(making: TableMaking, column: sa.Column[Any]) -> sa.TextClause | None:
    given: Any = column.server_default
    clause = given.arg if isinstance(given, sa.DefaultClause) else None
    if clause is None and isinstance(column.type, postgresql.DOMAIN):
        clause = column.type.default
    if clause is None:
        return None
    text, translation = text_of(clause), making.translation()
    try:
        found = translated_default(translation, text, making.meanings[column.name].kind)
    except Untranslatable as error:
        making.left_out(f"default {text}", error, column.name)
        return None
    making.remarked(translation, f"default {text}", column.name)
    return verbatim(found)


def _computed(making: TableMaking, column: sa.Column[Any]) -> sa.Computed:
    assert column.computed is not None
    here = "stored" if column.computed.persisted else "virtual"
    computation = making.computed[column.name]
    there = here if here in making.target.computed_when else next(iter(making.target.computed_when))
    if computation.used & making.changed_there:
        there = "virtual"
    if there != here:
        when = {"stored": "when a row is written", "virtual": "when it is read"}[there]
        making.note(f"generated {here}", f"It is computed {when} there.", column.name)
    return sa.Computed(verbatim(computation.text), persisted=there == "stored")


def _loses_not_null(making: TableMaking, column: sa.Column[Any]) -> bool:
    if making.target.constrains_computed:
        return False
    making.note("NOT NULL", "A generated column has no constraints there.", column.name)
    return True


# -- numbers -----------------------------------------------------------------------------------------------------------


def _numbered(
    making: TableMaking, column: sa.Column[Any], type_: sa.types.TypeEngine[Any], *, is_key: bool
) -> tuple[sa.types.TypeEngine[Any], list[Any]]:
    identity = column.identity
    if identity is not None and identity.always:
        making.note("GENERATED ALWAYS", "Numbers may be given there, too.", column.name)
    if column.nullable and not column.primary_key and making.target.never_numbers_null:
        making.note("numbers", "A column that numbers itself is never NULL there.", column.name)
        return type_, []
    numbering: Numbering = column.info.get(NUMBERING, USUAL)
    following = column.info.get(NEXT_NUMBER, identity and identity.start)
    if following is not None and is_beyond(following):
        making.note("numbers", "There is none left: the last of 64 bits has been given out.", column.name)
        return type_, []
    if making.target.numbers_any_column:
        return type_, [
            sa.Identity(
                start=following,
                increment=None if numbering.increment == 1 else numbering.increment,
                minvalue=numbering.minimum,
                maxvalue=numbering.maximum,
                cycle=numbering.cycles or None,
            )
        ]
    if not is_key:
        making.note("numbers", "Only a key of one column numbers itself there.", column.name)
        return type_, []
    if numbering != USUAL:
        making.note("numbers", f"They ascend one by one there, not {steps_of(numbering)}.", column.name)
    if making.target.number_type is not None:
        return type_.with_variant(getattr(sa, making.target.number_type)(), making.engine.dialect), []
    return type_, []
