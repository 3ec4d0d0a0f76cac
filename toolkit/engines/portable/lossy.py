"""Which values of a column would change if they were read as the model's type: looked for before anything is read.

A database's column may be of another type than the model says (an older migration, a table made by hand). Most such
types hold nothing that the model's cannot; for the others an engine gives a condition that the values in question meet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa

from toolkit.core.sifted import BadValue, as_error
from toolkit.core.tables import TableSpec
from toolkit.core.types import Kind, LogicalType
from toolkit.core.values import shortened
from toolkit.engines.contract import Connection, LossyCast
from toolkit.engines.portable.sifting import Doubt, advised

BITS: dict[str, int] = {Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}
# How an integer is written: what else a text holds (a leading zero, a plus sign) would be lost.
INTEGER_TEXT = "^(0|-?[1-9][0-9]*)$"
NUMBER_TEXT = r"^-?[0-9]+(\.[0-9]+)?$"
_TIMESTAMP = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?"
# A zone in a text is dropped by a cast to a timestamp without one.
TIMESTAMP_TEXT = f"{_TIMESTAMP}$"
TIMESTAMPTZ_TEXT = f"{_TIMESTAMP}(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)?$"
DATE_TEXT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TIME_TEXT = r"^[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?$"
TIMETZ_TEXT = r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?[+-][0-9]{2}(:[0-9]{2}){0,2}$"
BOOL_TEXT = "^(t|f|true|false|TRUE|FALSE|0|1)$"
ANY_VALUE = "1 = 1"
"""The condition where no value of a type can be read as the model's."""

OTHER_KEY = "a key in another form than it is written in: its row would come a second time"
"""What is told of keys that `unlike_keys` finds, with the advice."""
ONE_FORM = "Write the keys there in that form: {}."

_DECIMAL = re.compile(r"(?:numeric|decimal)\((\d+),(-?\d+)\)", re.IGNORECASE)
_LENGTH = re.compile(r"\(\d+(?:,-?\d+)?\)")


def bare(actual: str) -> str:
    """A type's name without its length or precision."""
    return _LENGTH.sub("", actual)


def holds_decimals(type_: LogicalType, actual: str) -> bool:
    """Whether a decimal of the model has a place for every digit that one of this type may have."""
    if type_.precision is None:
        return True
    if (found := _DECIMAL.fullmatch(actual)) is None:
        return False
    precision, scale = int(found[1]), int(found[2])
    wanted = type_.scale or 0
    return max(scale, 0) <= wanted and precision - scale <= type_.precision - wanted


def require_exact(connection: Connection, specs: Iterable[TableSpec]) -> None:
    """Check that every value of these tables, within their conditions, can be read as the model's type unchanged.

    Tables whose columns are of the model's types are not read; of others, the columns in doubt, once.

    Raises:
        UnrepresentableValueError: the first value that cannot, named with its row.
        TwoFormsError: a key is stored twice, in two forms.
    """
    specs = tuple(specs)
    connection.require_one_form(specs)
    for spec in specs:
        if casts := connection.repository(spec).lossy_casts():
            _require_none(connection, spec, casts)


def require_written_keys(connection: Connection, specs: Iterable[TableSpec]) -> None:
    """Check that a row that is written finds the one that is there, which may be outside of the tables' conditions.

    Raises:
        UnrepresentableValueError: a key beside which the same, as it is written, would be another.
    """
    for spec in (each.without_conditions() for each in specs):
        if casts := connection.repository(spec).unlike_keys():
            # No conversion of what is sent changes what is there.
            _require_none(connection, spec, casts, advised=lambda _, value: value)


def _require_none(
    connection: Connection,
    spec: TableSpec,
    casts: Mapping[str, LossyCast],
    advised: Callable[[TableSpec, BadValue], BadValue] = advised,
) -> None:
    raw = {name: sa.type_coerce(spec.table.c[name], sa.types.NullType()) for name in spec.column_names}
    changed = {
        name: sa.and_(raw[name].is_not(None), sa.literal_column(f"({cast.condition})")) for name, cast in casts.items()
    }
    query = sa.select(
        sa.case(*((condition, sa.literal(name)) for name, condition in changed.items())),
        sa.case(
            *(
                (condition, raw[name] if casts[name].is_raw else sa.cast(raw[name], sa.Text))
                for name, condition in changed.items()
            )
        ),
        *(sa.cast(raw[name], sa.Text) for name in spec.shown_key),
    ).where(sa.or_(*changed.values()), connection.repository(spec).within)
    with connection.translated(), connection.showing():
        # Fetched to the end: DuckDB does nothing else while a result is unfinished.
        rows = connection.sqlalchemy.execute(query.limit(1)).all()
    for column, value, *key in rows:
        shown = ", ".join(f"{name}={shortened(str(part))}" for name, part in zip(spec.shown_key, key, strict=True))
        doubt = lossy_doubt(connection.name, spec.column(column).type, casts[column])
        raise as_error(spec.name, shown, advised(spec, doubt.of(column, value)))


def lossy_doubt(database: str, type_: LogicalType, cast: LossyCast) -> Doubt:
    """The values of a column that reading them as the model's type would change."""
    if cast.reason:
        return Doubt(cast.condition, f"holds {{}}, {cast.reason}", cast.reason, cast.advice)
    declared = f"of type {cast.actual}" if cast.actual else "of no type"
    reason = f"{declared} in {database}, which the model's {type_} cannot hold as it is"
    advice = (
        f"Correct the values, give the columns the types that {database} has, or declare them as String to "
        "have them carried as text."
    )
    return Doubt(cast.condition, f"holds {{}}, {reason}", reason, advice, is_raw=cast.is_raw)
