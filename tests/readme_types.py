"""The README's tables of what a type of one engine is made as in the others, by the code that makes the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from toolkit.engines.duckdb.dialect import Dialect
from toolkit.engines.duckdb.reflection import parse_type
from toolkit.engines.postgresql.types import accept_foreign_types as into_postgresql
from toolkit.engines.sqlite.types import accept_foreign_types as into_sqlite

Type = sa.types.TypeEngine[Any]

POSTGRESQL: Mapping[str, Type] = {
    "boolean": sa.Boolean(),
    "smallint, integer, bigint": sa.BigInteger(),
    "oid": postgresql.OID(),
    "real": sa.REAL(),
    "double precision": sa.Double(),
    "numeric(12,2)": sa.Numeric(12, 2),
    "numeric": sa.Numeric(),
    "numeric(50,10)": sa.Numeric(50, 10),
    "numeric(5,-2)": sa.Numeric(5, -2),
    "money": postgresql.MONEY(),
    "text, varchar(n), char(n), citext": sa.Text(),
    "bytea": postgresql.BYTEA(),
    "uuid": sa.UUID(),
    "json, jsonb": postgresql.JSONB(),
    "timestamp": sa.TIMESTAMP(),
    "timestamptz": sa.TIMESTAMP(timezone=True),
    "date": sa.Date(),
    "time": sa.Time(),
    "timetz": sa.Time(timezone=True),
    "interval": postgresql.INTERVAL(),
    "an enum": postgresql.ENUM("a", "b", name="e"),
    "a domain": postgresql.DOMAIN("d", sa.Integer()),
    "integer[], text[], uuid[], date[], …": postgresql.ARRAY(sa.Integer()),
    "integer[][] (declared with dimensions=2)": postgresql.ARRAY(sa.Integer(), dimensions=2),
    "timestamp[], numeric(6,2)[], bytea[], jsonb[], …": postgresql.ARRAY(sa.TIMESTAMP()),
    "numeric[], interval[]": postgresql.ARRAY(sa.Numeric()),
    "bit(n)": postgresql.BIT(3),
    "bit varying": postgresql.BIT(varying=True),
    "inet, cidr, macaddr, ranges, tsvector, hstore, …": postgresql.INET(),
    "what SQLAlchemy has no class for: composites, xml, ltree, point, …": sa.types.NullType(),
}
DUCKDB = (
    *("TINYINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM"),
    *("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIME_NS", "TIME WITH TIME ZONE", "INTERVAL", "BIT"),
    *("ENUM('a', 'b')", "INTEGER[]", "INTEGER[][]", "DECIMAL(6,2)[]", "BLOB[]", "INTEGER[3]"),
    *("STRUCT(a INTEGER)", "MAP(VARCHAR, INTEGER)", "UNION(i INTEGER, s VARCHAR)", "STRUCT(a INTEGER)[]"),
)


def types_tables() -> str:
    """Both tables, in Markdown."""
    in_sqlite, in_postgresql = sa.create_engine("sqlite://"), sa.create_engine("postgresql+psycopg://")
    into_sqlite(in_sqlite)
    into_postgresql(in_postgresql)
    sqlite, duckdb, postgres = in_sqlite.dialect, Dialect(), in_postgresql.dialect
    rows = ((name, type_.compile(duckdb), type_.compile(sqlite) or "no type") for name, type_ in POSTGRESQL.items())
    others = ((name, parse_type(name).compile(postgres), parse_type(name).compile(sqlite)) for name in DUCKDB)
    return f"{_table(('PostgreSQL', 'DuckDB', 'SQLite'), rows)}\n{_table(('DuckDB', 'PostgreSQL', 'SQLite'), others)}"


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [
        titles,
        ("---", "---", "---"),
        *(tuple(f"`{cell}`" if i else cell for i, cell in enumerate(r)) for r in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
