"""What is stored in the columns of a SQLite table: by few passes, which count only what the declarations leave open."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from toolkit.core.schema import ColumnMeasure
from toolkit.engines.sqlite.declared import Declared, Family
from toolkit.engines.sqlite.documents import documents
from toolkit.engines.sqlite.undeclared import Documents, Undeclared
from toolkit.engines.sqlite.value_conditions import ASKED, EXPECTED_CLASS, FORMS, expected, is_odd

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import SqliteSnapshot
    from toolkit.engines.sqlite.structure import StoredStructure
    from toolkit.engines.sqlite.value_queries import Asking

Ask = Callable[[str], Sequence[Any] | None]
"""Gives the first row of a query."""

CLASSES = ("integer", "real", "text", "blob")
_NUMBERS = frozenset({Family.INTEGER, Family.REAL, Family.DECIMAL, Family.BOOLEAN, Family.ANY})
# What all values are that are as they were declared.
_FORMS = {
    Family.BOOLEAN: "boolean",
    Family.TIMESTAMP: "timestamp",
    Family.DATE: "date",
    Family.TIME: "time",
    Family.JSON: "json",
    Family.UUID: "uuid",
}
_MOMENTS = frozenset({Family.TIMESTAMP, Family.DATE, Family.TIME})
# SQLite takes no more than 2,000 columns, and a thousand levels of an expression.
_AT_ONCE = 100
# What a double has of digits behind its point, at most, where they are a decimal's.
_DIGITS = 15


def undeclared(connection: SqliteSnapshot, tables: Sequence[StoredStructure]) -> dict[str, Undeclared]:
    """By table, what is not as it was declared; where nobody writes, it is looked for once."""
    found = {each.name: looked for each in tables if (looked := known(connection, each.name)) is not None}
    asked = [each for each in tables if each.name not in found]
    read = [(each.name, column) for each in asked for column in _with_documents(each.declared)]
    # Documents first: to read them takes longest.
    answers = connection.answers([*starmap(_reading, read), *(_comparing(each.name, each.declared) for each in asked)])
    documents_of = dict(zip(read, answers, strict=False))
    for each, odd in zip(asked, answers[len(read) :], strict=True):
        own = {column: documents_of[table, column] for table, column in read if table == each.name}
        answer = partial(_found, odd, own, each.declared)
        found[each.name] = connection.remembered(_question(each.name), answer)
    return found


def known(connection: SqliteSnapshot, table: str) -> Undeclared | None:
    """The same, of one table, if it was found out already."""
    found: Undeclared | None = connection.known(_question(table))
    return found


def _question(table: str) -> tuple[str, str]:
    return ("undeclared", table)


def _reading(table: str, column: str) -> Callable[[Asking], Any]:
    return lambda asking: documents(asking, table, column)


def _comparing(table: str, columns: Mapping[str, Declared]) -> Callable[[Asking], Any]:
    conditions = {name: expected(each) for name, each in columns.items()}
    return lambda asking: unexpected(asking.row, table, conditions)


def _found(odd: frozenset[str], found: Mapping[str, Documents], columns: Mapping[str, Declared]) -> Undeclared:
    every = odd | {name for name, each in found.items() if each is Documents.NONE}
    classes = {name: EXPECTED_CLASS.get(of.family) for name, of in columns.items() if name not in every}
    return Undeclared(every, found, {name: each for name, each in classes.items() if each is not None})


def _with_documents(columns: Mapping[str, Declared]) -> list[str]:
    return [name for name, each in columns.items() if each.family is Family.JSON]


def measures(connection: SqliteSnapshot, table: str, columns: Mapping[str, Declared]) -> dict[str, ColumnMeasure]:
    """What is in each of these columns: mostly what was declared, so that it is measured before that is known."""
    if (looked := known(connection, table)) is not None:
        return measured(connection.asking.row, table, columns, looked.columns)
    undefined = {name for name, each in columns.items() if expected(each) is None}
    read = _with_documents(columns)

    def own(asking: Asking) -> tuple[dict[str, Documents], dict[str, ColumnMeasure]]:
        found = {name: documents(asking, table, name, tell_texts=False) for name in read}
        return found, measured(asking.row, table, columns, undefined)

    (found, ours), odd = connection.answers([own, _comparing(table, columns)])
    again = _found(odd, found, columns).columns - undefined
    return {
        **ours,
        **measured(connection.asking.row, table, {name: columns[name] for name in columns if name in again}, again),
    }


def classes_of(connection: SqliteSnapshot, table: str, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """The storage classes of the values in each column."""
    found: dict[str, frozenset[str]] = {}
    for names in _pieces(columns):
        cells = [f"max(typeof({_quoted(name)}) = '{each}')" for name in names for each in CLASSES]
        row = iter(connection.asking.row(f"SELECT {', '.join(cells)} FROM {_quoted(table)}") or ())
        found |= {name: frozenset(each for each in CLASSES if next(row)) for name in names}
    return found


def unexpected(ask: Ask, table: str, conditions: Mapping[str, Mapping[str, str] | None]) -> frozenset[str]:
    """The columns with a value that is of no class expected or does not meet its condition, and those of which none is.

    The conditions are those of `forms.expected`.
    """
    odd = {name for name, condition in conditions.items() if condition is None}
    for names in _pieces([name for name in conditions if name not in odd]):
        asked = {name: is_odd(_quoted(name), conditions[name] or {}) for name in names}
        # Mostly there are none: then one pass is enough, which looks no further than to the first.
        any_ = " OR ".join(asked.values())
        query = f"SELECT {', '.join(asked.values())} FROM {_unsorted(table)} WHERE {any_} LIMIT 1"
        found = _true(asked, ask(query))
        asked = {name: each for name, each in asked.items() if name not in found}
        if found and asked:
            totals = ", ".join(f"max({each})" for each in asked.values())
            found |= _true(asked, ask(f"SELECT {totals} FROM {_unsorted(table)}"))
        odd |= found
    return frozenset(odd)


def _unsorted(table: str) -> str:
    """A table without its indexes: one by a collation that only its application has would end in an error."""
    return f"{_quoted(table)} NOT INDEXED"


def _pieces(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _true(names: Collection[str], values: Sequence[Any] | None) -> set[str]:
    return {name for name, value in zip(names, values or [], strict=False) if value}


def measured(ask: Ask, table: str, columns: Mapping[str, Declared], odd: Collection[str]) -> dict[str, ColumnMeasure]:
    """What is in each of these columns; `odd` has those of them that hold what was not declared."""
    measures: dict[str, ColumnMeasure] = {}
    for names in _pieces([*columns]):
        asked = {(name, what): sql for name in names for what, sql in _asked(name, columns[name], name in odd)}
        row = ask(f"SELECT {', '.join(['count(*)', *asked.values()])} FROM {_unsorted(table)}")
        assert row is not None
        values = dict(zip(asked, row[1:], strict=True))
        for name in names:
            own = {what: value for (of, what), value in values.items() if of == name}
            measures[name] = _measure(row[0], own, columns[name], has_odd=name in odd)
    return measures


def _asked(name: str, of: Declared, has_odd: bool) -> Iterator[tuple[str, str]]:
    """What is asked of a column, with the aggregate that tells."""
    cell = _quoted(name)
    if has_odd or not of.is_required:
        yield "filled", f"count({cell})"
    if has_odd or of.family not in EXPECTED_CLASS:
        for each in CLASSES:
            yield each, f"count(*) FILTER (WHERE typeof({cell}) = '{each}')"
    if has_odd:
        for form in ASKED[of.family]:
            yield f"is {form}", f"count(*) FILTER (WHERE {FORMS[form].replace('{c}', cell)})"
    if has_odd or of.family in (Family.TEXT, Family.BYTES):
        has_length = (
            f"CASE WHEN typeof({cell}) IN ('text', 'blob') THEN length({cell}) END" if has_odd else f"length({cell})"
        )
        yield "longest", f"max({has_length})"
    if has_odd or of.family in _NUMBERS | _MOMENTS:
        classes = "('text')" if of.family in _MOMENTS else "('integer', 'real')"
        ranged = f"CASE WHEN typeof({cell}) IN {classes} THEN {cell} END" if has_odd else cell
        yield "least", f"min({ranged})"
        yield "greatest", f"max({ranged})"
    if (has_odd and of.family not in _MOMENTS) or (of.family is Family.DECIMAL and of.precision is None):
        steps = " ".join(f"WHEN round({cell}, {digits}) = {cell} THEN {digits}" for digits in range(_DIGITS + 1))
        yield "scale", f"max(CASE WHEN typeof({cell}) = 'real' THEN CASE {steps} ELSE {_DIGITS + 1} END END)"


def _measure(rows: int, found: Mapping[str, Any], of: Declared, has_odd: bool) -> ColumnMeasure:
    filled = found.get("filled", rows)
    classes = {each: found[each] for each in CLASSES if found.get(each)}
    if not classes and filled and not has_odd:
        classes = {EXPECTED_CLASS[of.family]: filled}
    forms = {form: found[f"is {form}"] for form in FORMS if found.get(f"is {form}")}
    if not has_odd and filled and of.family in _FORMS:
        forms = {"timestamp with zone" if of.has_zone else _FORMS[of.family]: filled}
    least, greatest, scale = found.get("least"), found.get("greatest"), found.get("scale")
    scale = None if scale is not None and scale > _DIGITS else (scale or 0)
    # Where it is not known yet that all are numbers, the greatest may be a text: then it is measured again.
    are_numbers = isinstance(least, int | float) and isinstance(greatest, int | float)
    has_digits = "scale" in found and are_numbers and scale is not None
    return ColumnMeasure(
        rows,
        rows - filled,
        classes,
        forms,
        None if least is None else _shown(least),
        None if greatest is None else _shown(greatest),
        found.get("longest"),
        max(_whole_digits(least), _whole_digits(greatest)) + scale if has_digits and scale is not None else None,
        scale if has_digits else None,
    )


def _shown(value: Any) -> str:
    return value.encode(errors="surrogateescape").decode(errors="replace") if isinstance(value, str) else repr(value)


def _whole_digits(number: Any) -> int:
    """The digits before the point; of an infinity more than any decimal has."""
    if isinstance(number, float) and number in (float("inf"), float("-inf")):
        return 400
    whole = abs(int(number))
    return len(str(whole)) if whole else 0


def _quoted(name: str) -> str:
    return sqlite.dialect().identifier_preparer.quote_identifier(name)
