"""Values of any storage class in one column: read with their class, and written as they were, bit by bit.

A text that is no UTF-8 can neither be fetched nor be bound as text: it comes and goes as bytes behind a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from toolkit.engines.sqlite.adapter import SqliteAdapter

# In a file whose encoding is UTF-16 the bytes of a text are others, and all texts can be fetched.
_FETCHED = (
    "CASE typeof({c}) WHEN 'text' THEN CASE WHEN CAST('a' AS BLOB) = x'61' THEN CAST('t' || {c} AS BLOB) "
    "ELSE 't' || {c} END WHEN 'blob' THEN 'b' || hex({c}) ELSE {c} END"
)
# What is bound as bytes is bytes behind a `b`, and a text behind anything else.
_BOUND = (
    "(SELECT CASE WHEN typeof(v) <> 'blob' THEN v WHEN substr(v, 1, 1) = x'62' THEN substr(v, 2) "
    "ELSE CAST(substr(v, 2) AS TEXT) END FROM (SELECT {value} AS v))"
)


class Stored(SqliteAdapter):
    """Any value of any class; doubles by their shortest digits, which SQLite's own text may lack."""

    classes = ()
    has_own_form = True

    def select(self, source: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        cell = sa.type_coerce(source, sa.types.NullType())
        tagged = sa.literal_column("'t'").op("||")(cell)
        is_utf8: sa.ColumnElement[bool] = sa.literal_column("CAST('a' AS BLOB) = x'61'")
        text = sa.case((is_utf8, sa.type_coerce(sa.cast(tagged, sa.BLOB), sa.types.NullType())), else_=tagged)
        digits = sa.literal_column("'b'").op("||")(sa.func.hex(cell))
        is_of = sa.func.typeof(cell)
        return sa.type_coerce(
            sa.case(
                (is_of == sa.literal_column("'text'"), sa.type_coerce(text, sa.types.NullType())),
                (is_of == sa.literal_column("'blob'"), digits),
                else_=cell,
            ),
            sa.types.NullType(),
        )

    def fetch(self, name: str) -> str:
        return _FETCHED.replace("{c}", name)

    def expressions(self, name: str) -> list[tuple[str, pa.DataType]]:
        text = (
            f"CASE typeof({name}) WHEN 'integer' THEN 'i' || {name} WHEN 'text' THEN 't' || {name} "
            f"WHEN 'blob' THEN 'b' || hex({name}) END"
        )
        return [(f"CASE typeof({name}) WHEN 'real' THEN {name} END", pa.float64()), (text, pa.string())]

    def decode(self, values: Sequence[Any]) -> pa.Array:
        return pa.array([None if value is None else self._decoded(value) for value in values], pa.string())

    def _decoded(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return _text(value)
        return value if isinstance(value, str) else self.form.from_python(value)

    def incoming(self, *fetched: pa.Array) -> pa.Array:
        numbers, texts = fetched
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            texts = pa.array(
                [None if v is None else _text(v) for v in texts.cast(pa.binary()).to_pylist()], pa.string()
            )
        if numbers.null_count == len(numbers):
            return texts
        doubles = [None if number is None else f"r{number!r}" for number in numbers.to_pylist()]
        return pc.coalesce(pa.array(doubles, pa.string()), texts)

    def encode(self, values: pa.Array) -> list[Any]:
        return [None if value is None else _bound(value) for value in values.to_pylist()]

    def bind(self, value: str) -> str:
        return _BOUND.replace("{value}", value)


def _text(fetched: bytes) -> str:
    """A text or bytes, as they are fetched; what is no UTF-8 by its digits."""
    try:
        return fetched.decode()
    except UnicodeDecodeError:
        return f"x{fetched[1:].hex().upper()}"


def _bound(value: str) -> Any:
    match value[0]:
        case "i":
            return int(value[1:])
        case "r":
            return float(value[1:])
        case "t":
            return value[1:]
    return value[0].encode() + bytes.fromhex(value[1:])


class AnyClass(sa.types.UserDefinedType[Any]):
    """The type of what `Stored` binds."""

    cache_ok = True

    def bind_expression(self, bindvalue: sa.BindParameter[Any]) -> sa.ColumnElement[Any]:
        """The value that it stands for."""
        return _Bound(bindvalue)


class _Bound(sa.sql.functions.FunctionElement[Any]):
    inherit_cache = True
    type = sa.types.NullType()


@compiles(_Bound)
def _compiled(element: _Bound, compiler: Any, **kw: Any) -> str:
    return _BOUND.replace("{value}", compiler.process(element.clauses, **kw))
