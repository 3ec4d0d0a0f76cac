"""What is stored in the columns of a SQLite table: by few passes, which count only what the declarations leave open."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import sqlite

from toolkit.core.schema import ColumnMeasure
from toolkit.engines.sqlite.declared import Declared, Family
from toolkit.engines.sqlite.documents import documents
from toolkit.engines.sqlite.forms import ASKED, EXPECTED_CLASS, FORMS, expected, is_odd
from toolkit.engines.sqlite.undeclared import Documents, Undeclared

if TYPE_CHECKING:
    from toolkit.engines.sqlite.snapshot import Ask, SqliteSnapshot

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
# Of how many columns the conditions take as long as a look at the documents of one.
_DOCUMENTS = 10
# What a double has of digits behind its point, at most, where they are a decimal's.
_DIGITS = 15


def undeclared(
    connection: SqliteSnapshot, table: str, columns: Mapping[str, Declared], meanwhile: Callable[[], None] | None = None
) -> Undeclared:
    """What is not as it was declared; where nobody writes, it is looked for once. `meanwhile` is done while it is."""
    question = ("undeclared", table, *columns)
    return connection.remembered(question, lambda: _undeclared(connection, table, columns, meanwhile))


def _undeclared(
    connection: SqliteSnapshot, table: str, columns: Mapping[str, Declared], meanwhile: Callable[[], None] | None
) -> Undeclared:
    conditions = {name: expected(each) for name, each in columns.items()}
    read = [name for name, each in columns.items() if each.family is Family.JSON]
    # What is left for our own connection beside the documents, so that both are at work as long.
    count = 0 if meanwhile else max(0, (len(conditions) - _DOCUMENTS * len(read)) // 2)
    split = len(conditions) - count
    others, ours = ({name: conditions[name] for name in part} for part in ([*columns][:split], [*columns][split:]))

    def own() -> tuple[frozenset[str], dict[str, Documents]]:
        if meanwhile is not None:
            meanwhile()
        return unexpected(connection.row, table, ours), {name: documents(connection, table, name) for name in read}

    odd, (more, found) = connection.beside(lambda ask: unexpected(ask, table, others), own)
    return Undeclared(odd | more | {name for name, each in found.items() if each is Documents.NONE}, found)


def measures(connection: SqliteSnapshot, table: str, columns: Mapping[str, Declared]) -> dict[str, ColumnMeasure]:
    """What is in each of these columns: mostly as it was declared, so that it is measured while that is looked at."""
    found: dict[str, ColumnMeasure] = {}
    undefined = {name for name, each in columns.items() if expected(each) is None}
    looked = undeclared(
        connection, table, columns, lambda: found.update(measured(connection, table, columns, undefined))
    )
    left = {name: columns[name] for name in columns if name not in found or name in looked.columns - undefined}
    again = measured(connection, table, left, looked.columns) if left else {}
    return {name: again.get(name) or found[name] for name in columns}


def classes_of(connection: SqliteSnapshot, table: str, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """The storage classes of the values in each column."""
    found: dict[str, frozenset[str]] = {}
    for names in _pieces(columns):
        cells = [f"max(typeof({_quoted(name)}) = '{each}')" for name in names for each in CLASSES]
        row = iter(connection.row(f"SELECT {', '.join(cells)} FROM {_quoted(table)}") or ())
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
        query = f"SELECT {', '.join(asked.values())} FROM {_quoted(table)} WHERE {' OR '.join(asked.values())} LIMIT 1"
        found = _true(asked, ask(query))
        asked = {name: each for name, each in asked.items() if name not in found}
        if found and asked:
            totals = ", ".join(f"max({each})" for each in asked.values())
            found |= _true(asked, ask(f"SELECT {totals} FROM {_quoted(table)}"))
        odd |= found
    return frozenset(odd)


def _pieces(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _true(names: Collection[str], values: Sequence[Any] | None) -> set[str]:
    return {name for name, value in zip(names, values or [], strict=False) if value}


def measured(
    connection: SqliteSnapshot, table: str, columns: Mapping[str, Declared], odd: Collection[str]
) -> dict[str, ColumnMeasure]:
    """What is in each of these columns; `odd` has those of them that hold what was not declared."""
    measures: dict[str, ColumnMeasure] = {}
    for names in _pieces([*columns]):
        asked = {(name, what): sql for name in names for what, sql in _asked(name, columns[name], name in odd)}
        row = connection.row(f"SELECT {', '.join(['count(*)', *asked.values()])} FROM {_quoted(table)}")
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
        yield "longest", f"max(CASE WHEN typeof({cell}) IN ('text', 'blob') THEN length({cell}) END)"
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
    has_digits = "scale" in found and least is not None and scale is not None
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
