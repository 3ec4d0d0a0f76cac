"""Schemas with all that a catalogue may have, as the engines' own reflection gives them: texts in the engine's SQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from toolkit.core.numbering import NEXT_NUMBER
from toolkit.core.schema import Schema
from toolkit.core.verbatim import verbatim

LONG = "a_name_of_more_bytes_than_a_name_may_have_in_every_engine_there_is_"


def column(name: str, type_: Any, declared: str, default: str | None = None, *extra: Any, **options: Any) -> Any:
    """A column of SQLite's, which remembers what it was declared as."""
    server_default = None if default is None else verbatim(default)
    options = {"autoincrement": False, **options}
    return sa.Column(
        name,
        type_,
        *extra,
        server_default=server_default,
        info={"declared": declared, **options.pop("info", {})},
        **options,
    )


def of_sqlite() -> Schema:
    """SQLite's: loose names and types, collations, partial keys, names that other engines have once only."""
    metadata = sa.MetaData()
    number: dict[str, Any] = {"primary_key": True, "autoincrement": True, "nullable": False}
    sa.Table(
        "person",
        metadata,
        column("id", sa.BigInteger(), "INTEGER", **number, info={NEXT_NUMBER: 501}),
        column("e mail", sa.Text(collation="NOCASE"), "TEXT", nullable=False),
        column("status", sa.Text(), "TEXT", '"new"', nullable=False),
        column("price", sa.Numeric(10, 2), "DECIMAL(10,2)", "'0.50'"),
        column("active", sa.Boolean(), "BOOLEAN", "1", nullable=False, sqlite_on_conflict_not_null="REPLACE"),
        column("born", sa.Date(), "DATE"),
        column("made", sa.DateTime(), "DATETIME", "CURRENT_TIMESTAMP"),
        column("seen", sa.Text(), "TEXT", "(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"),
        column("token", sa.Text(), "TEXT", "(lower(hex(randomblob(16))))"),
        column("odd", sa.Text(), "TEXT", "(char(65, 66))"),
        column("parent", sa.BigInteger(), "INTEGER"),
        column("doubled", sa.BigInteger(), "INTEGER", None, sa.Computed(verbatim("[parent] * 2"), persisted=False)),
        column("weird", sa.Text(), "TEXT", None, sa.Computed(verbatim("printf('%d', parent)"), persisted=True)),
        column("xmin", sa.BigInteger(), "INTEGER"),
        column(LONG, sa.Text(), "TEXT"),
        sa.PrimaryKeyConstraint("id", sqlite_on_conflict="IGNORE"),
        sa.UniqueConstraint("e mail"),
        sa.UniqueConstraint("status", "born", name="same"),
        sa.CheckConstraint(verbatim("status in ('new', \"old\") and active in (0, 1)")),
        sa.CheckConstraint(verbatim("price >= '0'"), name="not_negative"),
        sa.CheckConstraint(verbatim("status like '%e%' or status like ':x%'"), name="liked"),
        sa.CheckConstraint(verbatim("typeof(parent) in ('integer', 'null')"), name="typed"),
        sa.CheckConstraint(verbatim("status glob '[a-z]*'")),
        sa.CheckConstraint(verbatim("(parent is null) + (born is null) < 3")),
        sa.ForeignKeyConstraint(["parent"], ["person.id"], ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        sqlite_autoincrement=True,
    )
    person = metadata.tables["person"]
    sa.Index("live", person.c.token, unique=True, sqlite_where=verbatim("born IS NULL"))
    sa.Index("odd_ones", person.c.status, unique=True, sqlite_where=verbatim("typeof(born) = 'null'"))
    sa.Index("odd_plain", person.c.status, sqlite_where=verbatim("typeof(born) = 'null'"))
    sa.Index("lowered", verbatim("lower(token)"), unique=True, _table=person)
    sa.Index("collated", verbatim("status COLLATE NOCASE"), person.c.born.desc(), _table=person)
    sa.Table(
        "child",
        metadata,
        column("a", sa.BigInteger(), "INT", nullable=False),
        column("b", sa.Text(), "VARCHAR(10)", nullable=False),
        column("mail", sa.Text(), "TEXT"),
        column("text_id", sa.Text(), "TEXT"),
        sa.PrimaryKeyConstraint("a", "b"),
        sa.UniqueConstraint("mail", name="same", sqlite_on_conflict="REPLACE"),
        sa.ForeignKeyConstraint(["mail"], ["person.e mail"]),
        sa.ForeignKeyConstraint(["text_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["a"], ["person.id"], ondelete="SET NULL", onupdate="CASCADE", name="to_person"),
    )
    sa.Index("child", metadata.tables["child"].c.text_id)
    return Schema("sqlite", metadata)


def of_postgres() -> Schema:
    """PostgreSQL's: schemas, domains, enums, arrays, identities, timing, methods of indexes, exclusions."""
    metadata = sa.MetaData()
    mood = pg.ENUM("happy", "it's", name="mood")
    positive = pg.DOMAIN("positive", sa.Integer(), check=verbatim("(VALUE > 0)"), not_null=False)
    none: dict[str, Any] = {"autoincrement": False}

    def default(text: str) -> dict[str, Any]:
        return {"server_default": verbatim(text), **none}

    sa.Table(
        "User",
        metadata,
        sa.Column(
            "id",
            sa.BigInteger(),
            sa.Identity(always=True, start=5),
            primary_key=True,
            info={NEXT_NUMBER: 77},
            autoincrement=True,
        ),
        sa.Column("email", sa.Text(), nullable=False, comment="where to write", **none),
        sa.Column("Email", pg.VARCHAR(20, collation="C"), **default("'x'::character varying")),
        sa.Column("mood", mood, **default("'happy'::mood")),
        sa.Column("amount", positive, **default("1")),
        sa.Column("price", pg.NUMERIC(), **default("0.00")),
        sa.Column("rate", pg.DOUBLE_PRECISION(), **none),
        sa.Column("code", pg.CHAR(3), **none),
        sa.Column("tags", pg.ARRAY(sa.Text()), **default("'{}'::text[]")),
        sa.Column("data", pg.JSONB(), **default("'{}'::jsonb")),
        sa.Column("key", pg.UUID(), **default("gen_random_uuid()")),
        sa.Column("made", pg.TIMESTAMP(timezone=True), **default("now()")),
        sa.Column("local", pg.TIMESTAMP(), **default("now()")),
        sa.Column("later", pg.TIMESTAMP(), **default("(now() + '7 days'::interval)")),
        sa.Column("num", sa.Integer(), server_default=verbatim("nextval('other_seq'::regclass)"), autoincrement=True),
        sa.Column("full", sa.Text(), sa.Computed(verbatim("(email || ' '::text)"), persisted=True), **none),
        sa.Column("ok", sa.Boolean(), nullable=False, **default("true")),
        sa.CheckConstraint(verbatim("((rate >= (0)::double precision) AND (rate <= (1)::double precision))"), name="r"),
        sa.CheckConstraint(verbatim("(price >= (0)::numeric)"), name="p"),
        sa.CheckConstraint(verbatim("(email ~~ '%@%'::text)"), name="mailed"),
        sa.CheckConstraint(verbatim("(email ~ '^x'::text)"), name="matched"),
        sa.CheckConstraint(verbatim("((code)::text = ANY (ARRAY['a'::text]))"), name="coded"),
        sa.CheckConstraint(
            verbatim("((\"Email\")::text = ANY ((ARRAY['a'::character varying, 'x'::character varying])::text[]))"),
            name="listed",
        ),
        sa.UniqueConstraint("email", "num", name="once", deferrable=True, initially="DEFERRED"),
        sa.UniqueConstraint("tags", name="tagged"),
        sa.UniqueConstraint("rate", name="rated", postgresql_nulls_not_distinct=True),
        pg.ExcludeConstraint(("num", "="), name="excluded", using="btree"),
        comment="people",
    )
    user = metadata.tables["User"]
    sa.Index("user_lower", verbatim("lower(email)"), unique=True, _table=user)
    sa.Index("user_live", user.c.email, unique=True, postgresql_where=verbatim("(ok AND (mood = 'happy'::mood))"))
    sa.Index("user_tags", user.c.tags)
    sa.Index("user_gin", user.c.tags, postgresql_using="gin")
    sa.Index("user_order", sa.nulls_last(user.c.rate.desc()), postgresql_include=["num"])
    sa.Table(
        "user",
        metadata,
        sa.Column("id", sa.Integer(), primary_key=True, **none),
        sa.Column("owner", sa.BigInteger(), **none),
        sa.Column("at", sa.Date(), **default("CURRENT_DATE")),
        sa.Column("until", sa.Date(), **none),
        sa.CheckConstraint(verbatim("(until > at)"), name="ordered"),
        sa.ForeignKeyConstraint(["owner"], ["User.id"], ondelete='SET NULL ("owner")', match="FULL", name="owned"),
    )
    sa.Table("t", metadata, sa.Column("id", sa.Integer(), primary_key=True, **none), schema="stage")
    sa.Table("user", metadata, sa.Column("id", sa.Integer(), primary_key=True, **none), schema="stage")
    sa.Index("user_gin", metadata.tables["stage.t"].c.id)
    return Schema("postgresql", metadata)


def of_duckdb() -> Schema:
    """DuckDB's: generated columns that are read, unique indexes over expressions, sequences."""
    metadata = sa.MetaData()
    none: dict[str, Any] = {"autoincrement": False}
    sa.Table(
        "thing",
        metadata,
        sa.Column(
            "id",
            sa.Integer(),
            primary_key=True,
            autoincrement=True,
            server_default=verbatim("nextval('thing_id_seq')"),
            info={NEXT_NUMBER: 9},
        ),
        sa.Column("name", sa.VARCHAR(), comment="its name", **none),
        sa.Column("size", sa.DOUBLE(), server_default=verbatim("CAST('1.5' AS DOUBLE)"), **none),
        sa.Column("at", sa.TIMESTAMP(), server_default=verbatim("get_current_timestamp()"), **none),
        sa.Column("bytes", sa.BLOB(), server_default=verbatim("'\\x00\\xFF'"), **none),
        sa.Column("twice", sa.BIGINT(), sa.Computed(verbatim("(id * 2)"), persisted=False), **none),
        sa.Column("text", sa.VARCHAR(), sa.Computed(verbatim("concat(name, '!')"), persisted=False), **none),
        sa.CheckConstraint(verbatim('(("name" != \'x\') OR ("name" IS NULL))'), name="named"),
        sa.CheckConstraint(verbatim("regexp_matches(\"name\", 'x')"), name="matched"),
        sa.CheckConstraint(verbatim("(\"name\" > 'a')"), name="after"),
        sa.Column("doc", sa.JSON(), **none),
        sa.UniqueConstraint("name", "size"),
    )
    thing = metadata.tables["thing"]
    sa.Index("thing_lower", verbatim('lower("name")'), unique=True, _table=thing)
    sa.Index("thing_size", thing.c.size)
    sa.Index("thing_doc", thing.c.doc, unique=True)
    return Schema("duckdb", metadata)
