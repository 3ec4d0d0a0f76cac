"""PostgreSQL's types as SQLAlchemy's: a class where one carries them exactly, else by PostgreSQL's own text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from toolkit.core.engine_type import EngineType
from toolkit.core.verbatim import verbatim

_PLAIN: dict[str, TypeEngine[Any]] = {
    "bool": postgresql.BOOLEAN(),
    "int2": postgresql.SMALLINT(),
    "int4": postgresql.INTEGER(),
    "int8": postgresql.BIGINT(),
    "float4": postgresql.REAL(),
    "float8": postgresql.DOUBLE_PRECISION(),
    "bytea": postgresql.BYTEA(),
    "date": postgresql.DATE(),
    "uuid": postgresql.UUID(),
    "json": postgresql.JSON(),
    "jsonb": postgresql.JSONB(),
    "inet": postgresql.INET(),
    "cidr": postgresql.CIDR(),
    "macaddr": postgresql.MACADDR(),
    "macaddr8": postgresql.MACADDR8(),
    "money": postgresql.MONEY(),
    "oid": postgresql.OID(),
    "tsvector": postgresql.TSVECTOR(),
    "tsquery": postgresql.TSQUERY(),
    "int4range": postgresql.INT4RANGE(),
    "int8range": postgresql.INT8RANGE(),
    "numrange": postgresql.NUMRANGE(),
    "daterange": postgresql.DATERANGE(),
    "tsrange": postgresql.TSRANGE(),
    "tstzrange": postgresql.TSTZRANGE(),
    "int4multirange": postgresql.INT4MULTIRANGE(),
    "int8multirange": postgresql.INT8MULTIRANGE(),
    "nummultirange": postgresql.NUMMULTIRANGE(),
    "datemultirange": postgresql.DATEMULTIRANGE(),
    "tsmultirange": postgresql.TSMULTIRANGE(),
    "tstzmultirange": postgresql.TSTZMULTIRANGE(),
}
_BRACKETS = re.compile(r"\(([-\d, ]+)\)")
_INTERVAL = re.compile(r"interval(?: ([a-z ]+?))?(?:\((\d)\))?")


def _numeric(shown: str, numbers: list[int]) -> TypeEngine[Any]:
    if not numbers:
        return postgresql.NUMERIC()
    precision, scale = numbers
    if 0 <= scale <= precision:
        return postgresql.NUMERIC(precision, scale)
    # More digits behind the point than there are, or none of the last before it.
    like = sa.Numeric(max(precision, scale) if scale > 0 else precision - scale, max(scale, 0))
    return EngineType("postgresql", shown, like=like)


def _interval(shown: str, _: list[int]) -> TypeEngine[Any]:
    found = _INTERVAL.fullmatch(shown)
    assert found is not None, shown
    fields = found[1] and found[1].upper()
    return postgresql.INTERVAL(precision=int(found[2]) if found[2] else None, fields=fields)


# By what the server shows of the type, and the numbers in its brackets.
_SIZED: dict[str, Callable[[str, list[int]], TypeEngine[Any]]] = {
    "numeric": _numeric,
    "interval": _interval,
    "time": lambda _, numbers: postgresql.TIME(precision=next(iter(numbers), None)),
    "timetz": lambda _, numbers: postgresql.TIME(timezone=True, precision=next(iter(numbers), None)),
    "timestamp": lambda _, numbers: postgresql.TIMESTAMP(precision=next(iter(numbers), None)),
    "timestamptz": lambda _, numbers: postgresql.TIMESTAMP(timezone=True, precision=next(iter(numbers), None)),
    "bit": lambda _, numbers: postgresql.BIT(next(iter(numbers), None)),
    "varbit": lambda _, numbers: postgresql.BIT(next(iter(numbers), None), varying=True),
}


class Types:
    """The types of many tables' columns, by their numbers; the same one for all columns of an enum."""

    def __init__(self, rows: Mapping[int, Any]) -> None:
        self._rows = rows
        self._enums: dict[int, TypeEngine[Any]] = {}

    def of(self, id_: int, shown: str, dimensions: int = 0, collation: str | None = None) -> TypeEngine[Any]:
        """A type as the server shows it with its length; what no class of SQLAlchemy's says is in its own text."""
        row = self._rows[id_]
        if row.element is not None:
            return self._array(row, shown, dimensions)
        if row.kind == "e":
            return self._enum(row)
        if row.kind == "d":
            return self._domain(row)
        if row.schema == "pg_catalog":
            return _built_in(row.name, shown, collation)
        return EngineType("postgresql", shown, elsewhere=_of_extension(row.name))

    def is_never_null(self, id_: int) -> bool:
        """Whether it is a domain that has no NULL."""
        row = self._rows[id_]
        return row.kind == "d" and (row.is_required or self.is_never_null(row.base))

    def demanded_of_elements(self, id_: int) -> str | None:
        """The domain or enum of an array's elements, which only an array of PostgreSQL's has."""
        row = self._rows[id_]
        if row.kind == "d":
            return self.demanded_of_elements(row.base)
        element = None if row.element is None else self._rows[row.element]
        named = {"d": "domain", "e": "enum"}
        return None if element is None or element.kind not in named else f"{named[element.kind]} {element.name}"

    def is_list(self, column: Any) -> bool:
        """Whether it is declared as an array of one dimension, which need not be true."""
        return self._rows[column.type].element is not None and column.dimensions <= 1

    def _array(self, row: Any, shown: str, dimensions: int) -> TypeEngine[Any]:
        element = self.of(row.element, shown.removesuffix("[]"))
        # SQLAlchemy would have other engines make the domain, too.
        while isinstance(element, postgresql.DOMAIN):
            element = element.data_type
        # Composites have a form of their own in JSON, and there is no other array of arrays than one of domains.
        if isinstance(element, sa.ARRAY | EngineType):
            return EngineType("postgresql", shown)
        return postgresql.ARRAY(element, dimensions=dimensions or None)

    def _enum(self, row: Any) -> TypeEngine[Any]:
        found = self._enums.get(row.id)
        if found is None:
            schema = None if row.is_here else row.schema
            found = self._enums[row.id] = postgresql.ENUM(*row.labels, name=row.name, schema=schema)
        return found

    def _domain(self, row: Any) -> TypeEngine[Any]:
        checks = [verbatim(each) for each in row.checks]
        return postgresql.DOMAIN(
            row.name,
            self.of(row.base, row.base_shown, row.dimensions, row.collation),
            schema=None if row.is_here else row.schema,
            collation=row.collation,
            default=None if row.default is None else verbatim(row.default),
            constraint_name=row.check_names[0] if len(checks) == 1 else None,
            not_null=row.is_required,
            check=verbatim(" AND ".join(row.checks)) if checks else None,
        )


def _built_in(name: str, shown: str, collation: str | None) -> TypeEngine[Any]:
    found = _BRACKETS.search(shown)
    numbers = [int(each) for each in found[1].split(",")] if found else []
    if name == "text":
        return postgresql.TEXT(collation=collation)
    if name == "varchar":
        return postgresql.VARCHAR(next(iter(numbers), None), collation=collation)
    if name == "bpchar" and numbers:
        return postgresql.CHAR(numbers[0], collation=collation)
    if name in _SIZED:
        return _SIZED[name](shown, numbers)
    if name in _PLAIN:
        return _PLAIN[name]
    return EngineType("postgresql", shown)


def _of_extension(name: str) -> TypeEngine[Any] | None:
    """What holds the text of a type of a well known extension elsewhere, if that is not just a text."""
    return postgresql.CITEXT() if name == "citext" else None
